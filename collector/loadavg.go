package collector

import (
	"context"
	"time"

	"nodepush/metric"
)

// loadavg shows the load averages.
// https://docs.kernel.org/filesystems/proc.html ("loadavg")
type loadavg struct {
	reader
	file file
}

var loads = [...]*metric.Desc{
	{Name: "node_load1", Type: metric.Gauge, Help: "Runnable and uninterruptible tasks, averaged over the last minute."},
	{Name: "node_load5", Type: metric.Gauge, Help: "Runnable and uninterruptible tasks, averaged over the last 5 minutes."},
	{Name: "node_load15", Type: metric.Gauge, Help: "Runnable and uninterruptible tasks, averaged over the last 15 minutes."},
}

func newLoadavg(h *host, _ Options) (Collector, error) {
	return &loadavg{reader: h.reader(), file: fileAt(h.Procfs, "loadavg")}, nil
}

func (c *loadavg) Name() string { return "loadavg" }

func (c *loadavg) Descs() []*metric.Desc { return loads[:] }

func (c *loadavg) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	text, err := c.read(c.file)
	if err != nil {
		return required(c.file, err)
	}
	return parseLoadavg(c.file, text, func(i int, load float64) { dst.Add(loads[i], load) })
}

// parseLoadavg gives the three averages of "0.20 0.18 0.12 1/80 11206".
func parseLoadavg(f file, text []byte, give func(i int, load float64)) error {
	l := lines{file: f, rest: text}
	if !l.next() {
		return l.end()
	}
	rest := l.text
	for i := range loads {
		var field []byte
		field, rest = cutField(rest)
		load, ok := parseDecimal(field)
		if !ok {
			l.reject("three averages at its start")
			break
		}
		give(i, load)
	}
	return l.end()
}
