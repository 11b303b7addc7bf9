package agent

import (
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
	"nodepush/receiver"
	"nodepush/writer"
)

// demoInterval is short enough to watch.
const demoInterval = time.Second

// demo runs the real agent against a receiver on loopback and shows each
// second what the receiver has stored: as a view of its own on a terminal, as
// lines elsewhere. It ends after the given time, 0 for never, with a signal,
// or with q on a terminal, and leaves nothing behind but a summary.
func demo(out io.Writer, p collector.Paths, held *heldLog, log *slog.Logger, signals <-chan os.Signal, length time.Duration) error {
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

	err = show(out, sink, c, listener.Addr(), held, signals, ended, length)
	stop <- syscall.SIGTERM
	err = errors.Join(err, a.await(ended, signals, stop))
	server.Shutdown(context.Background()) // no request is under way: its only client has ended
	running.join(context.Background())
	if err == nil {
		err = summary(out, sink, c.Writer.Dir, a.collected())
	}
	if errors.Is(err, syscall.EPIPE) { // head(1) has seen enough
		return nil
	}
	return err
}

// display is a way to show what a receiver has stored.
type display interface {
	show() error            // what is there now; each second
	handle(os.Signal) error // an event of the terminal
	close()
}

// show shows what sink has stored until it is time to end. When it returns,
// the terminal is as it was, so that a second signal needs no care.
func show(out io.Writer, sink *receiver.Receiver, c *Config, address net.Addr, held *heldLog, signals <-chan os.Signal,
	ended chan error, length time.Duration) error {
	events := make(chan os.Signal, 8)
	var d display
	var err error
	if screen := openTerminal(out); screen != nil {
		d, err = newLiveView(screen, &observer{sink: sink, dir: c.Writer.Dir, address: address.String()}, held, events)
	} else {
		d, err = newPlainView(out, sink, c.Writer.Dir, address, len(c.Collectors))
	}
	defer d.close()
	if err != nil {
		return err
	}
	return watch(d, signals, events, ended, length)
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

// watch shows what there is each second until it is time to end.
func watch(d display, signals, events <-chan os.Signal, ended chan error, length time.Duration) error {
	var end <-chan time.Time
	if length > 0 {
		end = time.After(length)
	}
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = d.show()
		case s := <-events:
			if s == syscall.SIGINT {
				return nil
			}
			err = d.handle(s)
		case <-end:
			return nil
		case <-signals:
			return nil
		case err := <-ended: // it should not, by itself
			ended <- nil
			return err
		}
		if err != nil {
			return err
		}
	}
}

// summary tells what became of everything that was collected.
func summary(out io.Writer, sink *receiver.Receiver, dir string, collected uint64) error {
	s := sink.Stats()
	n := samplesIn(s)
	text := fmt.Sprintf("\n%d rounds: %d samples collected, %d stored by the receiver in %d requests, %d requests refused; "+
		"%s B/sample on the wire, %s in the log with its dictionary\n",
		roundsIn(sink), collected, n, s.Requests-s.Refused, s.Refused,
		ratio(float64(s.WireBytes), float64(n), 2), ratio(float64(dirSize(dir)), float64(n), 2))
	if s.LastRefusal != "" {
		text += "last refusal: " + clean(s.LastRefusal) + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// samplesIn is how many samples the receiver took, staleness markers aside:
// they are no samples of the agent's.
func samplesIn(s receiver.Stats) uint64 { return s.Samples + s.Histograms }

// roundsIn is the number of collections that arrived: each has one sample of up.
func roundsIn(sink *receiver.Receiver) (n uint64) {
	for _, s := range sink.Select("up") {
		n += s.Count
	}
	return n
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
