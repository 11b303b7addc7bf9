package collector

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"nodepush/metric"
)

// clock shows the time of the round and where the kernel takes time from.
// https://docs.kernel.org/timers/timekeeping.html#clock-sources
type clock struct {
	reader
	zone    *time.Location
	dir     string
	sources []clocksource // nil: none found so far
}

// clocksource is one directory clocksourceN. device is its place in the list,
// which is what node_exporter shows.
type clocksource struct {
	device             string
	available, current file
}

var (
	timeSeconds = &metric.Desc{
		Name: "node_time_seconds", Type: metric.Gauge, Unit: "seconds",
		Help: "The host's clock at the moment of the round, since the epoch.",
	}
	timeZone = &metric.Desc{
		Name: "node_time_zone_offset_seconds", Type: metric.Gauge, Unit: "seconds", Labels: []string{"time_zone"},
		Help: "How far the local time zone is ahead of UTC.",
	}
	clocksourceAvailable = &metric.Desc{
		Name: "node_time_clocksource_available_info", Type: metric.Gauge, Labels: []string{"device", "clocksource"},
		Help: "Always 1 for each clock source that the kernel could use.",
	}
	clocksourceCurrent = &metric.Desc{
		Name: "node_time_clocksource_current_info", Type: metric.Gauge, Labels: []string{"device", "clocksource"},
		Help: "Always 1 for the clock source that the kernel uses.",
	}
)

func newTime(h *host, _ Options) (Collector, error) {
	return &clock{reader: h.reader(), zone: h.zone, dir: filepath.Join(h.Sysfs, "devices/system/clocksource")}, nil
}

func (c *clock) Name() string { return "time" }

func (c *clock) Descs() []*metric.Desc {
	return []*metric.Desc{timeSeconds, timeZone, clocksourceAvailable, clocksourceCurrent}
}

// Collect shows now to the millisecond, as the collection's own time is kept.
func (c *clock) Collect(_ context.Context, now time.Time, dst *metric.Buffer) error {
	dst.Add(timeSeconds, float64(now.UnixMilli())/1000)
	zone, offset := now.In(c.zone).Zone()
	dst.Add(timeZone, float64(offset), zone)
	if c.sources == nil { // clock source devices are made at boot and stay
		c.sources = clocksourcesIn(c.dir)
	}
	var problems []error
	for _, s := range c.sources {
		if err := errors.Join(c.addAvailable(s, dst), c.addCurrent(s, dst)); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func clocksourcesIn(dir string) []clocksource {
	var sources []clocksource
	for i, n := range numbered(dir, "clocksource") {
		path := filepath.Join(dir, "clocksource"+strconv.Itoa(n))
		sources = append(sources, clocksource{
			device:    strconv.Itoa(i),
			available: fileAt(path, "available_clocksource"),
			current:   fileAt(path, "current_clocksource"),
		})
	}
	return sources
}

func (c *clock) addAvailable(s clocksource, dst *metric.Buffer) error {
	text, err := c.read(s.available)
	if err != nil {
		return unlessAbsent(err)
	}
	n := dst.Len()
	name, rest := cutField(bytes.TrimRight(text, "\n"))
	for ; len(name) > 0; name, rest = cutField(rest) {
		label := label(dst.String(name))
		if shown := dst.Samples()[n:]; slices.ContainsFunc(shown, func(s metric.Sample) bool { return s.Values[1] == label }) {
			return malformed(s.available, 0, text, "every clock source once")
		}
		dst.Add(clocksourceAvailable, 1, s.device, label)
	}
	if dst.Len() == n {
		return malformed(s.available, 0, text, "names of clock sources")
	}
	return nil
}

func (c *clock) addCurrent(s clocksource, dst *metric.Buffer) error {
	text, err := c.read(s.current)
	if err != nil {
		return unlessAbsent(err)
	}
	name, rest := cutField(bytes.TrimRight(text, "\n"))
	if extra, _ := cutField(rest); len(name) == 0 || len(extra) > 0 {
		return malformed(s.current, 0, text, "the name of a clock source")
	}
	dst.Add(clocksourceCurrent, 1, s.device, label(dst.String(name)))
	return nil
}
