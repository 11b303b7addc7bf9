// Package agent runs nodepush: configuration, schedule, self metrics, life cycle.
// It is the only package that starts long-lived goroutines, and each is joined
// in the function that started it.
//
//	Run ── signals, reload
//	 └─ live ── one configuration, from opening the log to closing it
//	     ├─ senders    the tasks of package writer
//	     ├─ collectors a worker each; one that hangs stops nobody
//	     └─ rounds     a source for each interval:
//	                   due ─▶ tasks ─▶ workers ─▶ outcomes ─▶ one collection ─▶ writer
package agent

import (
	"cmp"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nodepush/collector"
	"nodepush/metric"
	"nodepush/writer"
)

// pipe is what the agent needs of writer.Writer.
type pipe interface {
	Append(c *metric.Collection, next time.Time) error
	Tasks() []writer.Task
	Drain()
	Close() error
	Backlog() []writer.Backlog
	Unwritten() int64
	Collect(now time.Time, dst *metric.Buffer)
}

// agent is the service. All fields but current are set before run and not changed.
type agent struct {
	log   *slog.Logger
	paths collector.Paths
	build build
	host  host
	clock clock

	load       func() (*Config, []Warning, error) // reads the configuration again; on SIGHUP
	collectors func([]string, collector.Paths, collector.Options) ([]collector.Collector, error)
	open       func(writer.Config, *slog.Logger) (pipe, error)
	exit       func(code int) // ends the process at once

	counts  *counts
	current atomic.Pointer[pipe] // of the life that goes on; nil between two
}

func newAgent(p collector.Paths, load func() (*Config, []Warning, error), log *slog.Logger) *agent {
	return &agent{
		log: log, paths: p, build: readBuild(), host: readHost(p, log), clock: systemClock(),
		load: load, collectors: collector.New, open: openWriter, exit: os.Exit, counts: newCounts(),
	}
}

func openWriter(c writer.Config, log *slog.Logger) (pipe, error) {
	w, err := writer.Open(c, log)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// sources makes the source of each distinct interval and its workers. The one
// of the default interval comes first; it is there even without collectors,
// for the agent's own metrics.
func (a *agent) sources(c *Config, own *self) ([]*source, error) {
	made, err := a.makeCollectors(c)
	if err != nil {
		return nil, err
	}
	instance := a.host.instance(c.Instance, c.Writer.Dir, a.log)
	a.host.latch(c.Writer.Dir, a.log)
	labels := sourceLabels(c.Job, instance, c.ExternalLabels)
	all := []*source{a.source(c, c.Interval, instance, labels)}
	all[0].own = own
	for i, one := range c.Collectors {
		s := find(all, cmp.Or(one.Interval, c.Interval))
		if s == nil {
			s = a.source(c, one.Interval, instance, labels)
			all = append(all, s)
		}
		s.workers = append(s.workers, a.worker(made[i]))
	}
	for _, s := range all {
		s.done = make(chan outcome, len(s.workers))
	}
	return all, nil
}

// makeCollectors makes the collectors in the order of the configuration.
func (a *agent) makeCollectors(c *Config) ([]collector.Collector, error) {
	names := make([]string, len(c.Collectors))
	for i, one := range c.Collectors {
		names[i] = one.Name
	}
	return a.collectors(names, a.paths, c.Options)
}

func find(all []*source, interval time.Duration) *source {
	for _, s := range all {
		if s.pace.interval == interval {
			return s
		}
	}
	return nil
}

// source makes a source without workers. Its name is stable over restarts,
// because the log tells by it which series have vanished.
func (a *agent) source(c *Config, interval time.Duration, instance string, labels []metric.Label) *source {
	name := "node"
	if interval != c.Interval {
		name += "/" + strconv.FormatFloat(interval.Seconds(), 'f', -1, 64) + "s"
	}
	counts := a.counts.source(name)
	last := time.Duration(counts.started.Load())
	return &source{
		metric:   &metric.Source{Name: name, BootID: a.host.bootID, Start: a.host.boot, Labels: labels},
		pace:     pace{clock: a.clock, interval: interval, splay: a.host.splay(instance, interval), started: last, any: last > 0},
		deadline: min(c.Timeout, interval-room(interval)),
		counts:   counts,
	}
}

func (a *agent) worker(c collector.Collector) *worker {
	return &worker{
		collector: c,
		tasks:     make(chan task, 1),
		counts:    a.counts.collector(c.Name()),
		report:    trouble{what: "collector", log: a.log.With("collector", c.Name())},
	}
}

// shareLog lets all sources append to one log, one at a time, and tell it
// when the next collection of any of them is due.
func shareLog(sources []*source, w pipe, log *slog.Logger) {
	var mu sync.Mutex
	epoch := time.Now()
	for _, s := range sources {
		r := trouble{what: "append to the log", log: log.With("source", s.metric.Name)}
		s.epoch = epoch
		s.append = func(c *metric.Collection) {
			mu.Lock()
			defer mu.Unlock()
			next := sources[0].due.Load()
			for _, other := range sources[1:] {
				next = min(next, other.due.Load())
			}
			if err := w.Append(c, epoch.Add(time.Duration(next))); err != nil {
				s.counts.refused.Add(1)
				r.failed(time.Now(), err)
			} else {
				r.worked()
			}
		}
	}
}

// label returns a label of a source.
func label(s *metric.Source, name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
