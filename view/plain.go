package view

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"nodepush/receiver"
)

// plain is a view of lines.
type plain struct {
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

// newPlain prints the head of the table.
func newPlain(out io.Writer, o Options) (*plain, error) {
	v := &plain{out: bufio.NewWriter(out), sink: o.Receiver, dir: o.Dir, start: time.Now()}
	fmt.Fprintf(v.out, `nodepush demo: %d collectors ─ every second ─▶ log in a temporary directory ─ remote write ─▶ receiver on %s
Each line is what that receiver has stored. B/sample: bytes of the last second by its samples. CPU, RSS: this process, receiver included.

%5s %7s %7s %10s %14s %13s %7s %9s %7s
`, o.Collectors, o.Address, "s", "rounds", "series", "samples/s", "wire B/sample", "WAL B/sample", "CPU %", "RSS MiB", "load1")
	return v, v.out.Flush()
}

// show prints what has come since the last line.
func (v *plain) show() error {
	now := reading{Stats: v.sink.Stats(), wal: dirSize(v.dir)}
	now.cpu, _ = v.sink.Latest("process_cpu_seconds_total")
	samples := samplesIn(now.Stats) - samplesIn(v.last.Stats)
	fmt.Fprintf(v.out, "%5.0f %7d %7d %10d %14s %13s %7s %9s %7s\n", time.Since(v.start).Seconds(), roundsIn(v.sink), now.Series, samples,
		ratio(float64(now.WireBytes-v.last.WireBytes), float64(samples), 2),
		ratio(float64(now.wal-v.last.wal), float64(samples), 2),
		v.cpu(now.cpu), v.value("process_resident_memory_bytes", 1<<20, 1), v.value("node_load1", 1, 2))
	v.last = now
	return v.out.Flush()
}

// cpu is the load of this process between the newest stored sample and the
// one at the last line.
func (v *plain) cpu(now receiver.Sample) string {
	was := v.last.cpu
	if was.Time == 0 || now.Time <= was.Time {
		return "-"
	}
	return ratio(100*(now.Value-was.Value), float64(now.Time-was.Time)/1000, 1)
}

// value is the stored value of a metric by a unit, "-" before the first.
func (v *plain) value(name string, unit float64, digits int) string {
	s, ok := v.sink.Latest(name)
	if !ok {
		return "-"
	}
	return ratio(s.Value, unit, digits)
}
