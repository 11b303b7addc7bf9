package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/common/config"

	"nodepush/collector"
	"nodepush/metric"
	"nodepush/receiver"
	"nodepush/writer"
)

// demoInterval is short enough to watch.
const demoInterval = time.Second

// demo runs the real agent against a receiver on loopback and shows each
// second what the receiver has stored. It ends after the given time, 0 for
// never, or with a signal, and leaves nothing behind.
func demo(out io.Writer, p collector.Paths, log *slog.Logger, signals <-chan os.Signal, length time.Duration) error {
	dir, err := os.MkdirTemp("", "nodepush-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sink := receiver.New(receiver.Options{Strict: true})
	server := &http.Server{Handler: sink, ReadHeaderTimeout: 10 * time.Second}
	c := demoConfig(filepath.Join(dir, "wal"), listener.Addr().String())
	a := newAgent(p, func() (*Config, []Warning, error) { return nil, nil, errNoReload }, log)
	a.exit = func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}

	stop, ended := make(chan os.Signal, 2), make(chan error, 1)
	var running group
	running.Go("receiver", func() { server.Serve(listener) }) // ends with ErrServerClosed
	running.Go("agent", func() { ended <- a.run(c, stop) })

	v := view{out: bufio.NewWriter(out), sink: sink, dir: c.Writer.Dir, start: time.Now()}
	err = v.header(listener.Addr(), len(c.Collectors))
	if err == nil {
		err = v.watch(signals, ended, length)
	}
	stop <- syscall.SIGTERM
	err = errors.Join(err, a.await(ended, signals, stop))
	server.Shutdown(context.Background()) // no request is under way: its only client has ended
	running.join(context.Background())
	if err == nil {
		err = v.summary(a.collected())
	}
	if errors.Is(err, syscall.EPIPE) { // head(1) has seen enough
		return nil
	}
	return err
}

var errNoReload = errors.New("the demo has no configuration file to reload")

// await returns what became of the agent; a signal meanwhile is a second one
// and ends the process.
func (a *agent) await(ended <-chan error, signals <-chan os.Signal, stop chan<- os.Signal) error {
	for {
		select {
		case err := <-ended:
			return err
		case s := <-signals:
			select {
			case stop <- s:
			default:
			}
		}
	}
}

// demoConfig collects everything each second and sends it at once.
func demoConfig(dir, address string) *Config {
	c := DefaultConfig()
	c.Interval, c.Timeout = demoInterval, demoInterval
	for i := range c.Collectors {
		c.Collectors[i].Interval = demoInterval
	}
	c.Writer.Dir = dir
	c.Writer.Receivers = []writer.Receiver{{
		Name: "demo", URL: "http://" + address + receiver.Path, HTTP: config.DefaultHTTPClientConfig,
		Timeout: 5 * time.Second, BatchSendDeadline: demoInterval / 4, MinBackoff: 100 * time.Millisecond, MaxBackoff: demoInterval,
	}}
	return c
}

// collected is the number of samples that were handed to the log.
func (a *agent) collected() (n uint64) {
	for _, c := range a.counts.sources {
		n += c.samples.Load()
	}
	return n
}

// view shows what a receiver has stored.
type view struct {
	out   *bufio.Writer
	sink  *receiver.Receiver
	dir   string // of the log
	start time.Time
	last  reading
}

// reading is the state at one moment.
type reading struct {
	receiver.Stats
	wal int64           // bytes on disk
	cpu receiver.Sample // process_cpu_seconds_total; zero before the first
}

func (v *view) header(address net.Addr, collectors int) error {
	fmt.Fprintf(v.out, `nodepush demo: %d collectors ─ every second ─▶ log in a temporary directory ─ remote write ─▶ receiver on %s
Each line is what that receiver has stored. B/sample: bytes of the last second by its samples. CPU, RSS: this process, receiver included.

%5s %7s %7s %10s %14s %13s %7s %9s %7s
`, collectors, address, "s", "rounds", "series", "samples/s", "wire B/sample", "WAL B/sample", "CPU %", "RSS MiB", "load1")
	return v.out.Flush()
}

// watch prints a line each second until it is time to end.
func (v *view) watch(signals <-chan os.Signal, ended chan error, length time.Duration) error {
	var end <-chan time.Time
	if length > 0 {
		end = time.After(length)
	}
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := v.line(); err != nil {
				return err
			}
		case <-end:
			return nil
		case <-signals:
			return nil
		case err := <-ended: // it should not, by itself
			ended <- nil
			return err
		}
	}
}

// line prints what has come since the last line.
func (v *view) line() error {
	now := reading{Stats: v.sink.Stats(), wal: dirSize(v.dir)}
	now.cpu, _ = v.sink.Latest("process_cpu_seconds_total")
	samples := stored(now.Stats) - stored(v.last.Stats)
	fmt.Fprintf(v.out, "%5.0f %7d %7d %10d %14s %13s %7s %9s %7s\n", time.Since(v.start).Seconds(), v.rounds(), now.Series, samples,
		ratio(float64(now.WireBytes-v.last.WireBytes), float64(samples), 2),
		ratio(float64(now.wal-v.last.wal), float64(samples), 2),
		v.cpu(now.cpu), v.value("process_resident_memory_bytes", 1<<20, 1), v.value("node_load1", 1, 2))
	v.last = now
	return v.out.Flush()
}

// summary tells what became of everything that was collected.
func (v *view) summary(collected uint64) error {
	s := v.sink.Stats()
	n := stored(s)
	fmt.Fprintf(v.out, "\n%d rounds: %d samples collected, %d stored by the receiver in %d requests, %d requests refused; "+
		"%s B/sample on the wire, %s in the log with its dictionary\n",
		v.rounds(), collected, n, s.Requests-s.Refused, s.Refused,
		ratio(float64(s.WireBytes), float64(n), 2), ratio(float64(dirSize(v.dir)), float64(n), 2))
	if s.LastRefusal != "" {
		fmt.Fprintln(v.out, "last refusal:", s.LastRefusal)
	}
	return v.out.Flush()
}

// stored is how many samples the receiver took, staleness markers aside: they
// are no samples of the agent's.
func stored(s receiver.Stats) uint64 { return s.Samples + s.Histograms }

// rounds is the number of collections that arrived: each has one sample of up.
func (v *view) rounds() (n uint64) {
	for _, s := range v.sink.Select("up") {
		n += s.Count
	}
	return n
}

// cpu is the load of this process between the newest stored sample and the
// one at the last line.
func (v *view) cpu(now receiver.Sample) string {
	was := v.last.cpu
	if was.Time == 0 || now.Time <= was.Time {
		return "-"
	}
	return ratio(100*(now.Value-was.Value), float64(now.Time-was.Time)/1000, 1)
}

// value is the stored value of a metric by a unit, "-" before the first.
func (v *view) value(name string, unit float64, digits int, labels ...metric.Label) string {
	s, ok := v.sink.Latest(name, labels...)
	if !ok {
		return "-"
	}
	return ratio(s.Value, unit, digits)
}

// ratio writes a by b, "-" where b is 0.
func ratio(a, b float64, digits int) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, a/b)
}

// dirSize is the size of the files below dir. One that vanishes meanwhile counts nothing.
func dirSize(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}
