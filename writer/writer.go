// Package writer is a durable, ordered, at-least-once pipe from collections to
// each receiver.
//
//	                                                      ┌─▶ sender ─▶ receiver
//	Append ─▶ encoder ─▶ frames ─▶ wal.Log ─▶ wal.Reader ─┤
//	                                  ▲                   └─▶ sender ─▶ receiver
//	                                  └── wal.Cursor ◀────── one for each: what it answered for
//
// A sender reads the log by itself, so that none waits for another and Append
// waits for none. Collections become requests after the log, since a frame
// outlives the protocol; they are acknowledged after the answer.
package writer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// Receiver configures one remote-write receiver (configuration block remote_write).
type Receiver struct {
	Name                string // the cursor's identity; never empty here
	URL                 string
	Headers             map[string]string
	HTTP                config.HTTPClientConfig
	Timeout             time.Duration // remote_timeout, 30s
	MaxSamplesPerSend   int           // 0: 10,000 live and 20,000 in catch-up; otherwise the limit of both
	BatchSendDeadline   time.Duration // 5s
	MinBackoff          time.Duration // 500ms
	MaxBackoff          time.Duration // 30s
	SampleAgeLimit      time.Duration // 0: none
	WriteRelabel        []*relabel.Config
	DropOnEndpointError bool // on_endpoint_error: drop
	Message             Message
	Metadata            Metadata
}

// Message is what a receiver is sent (protobuf_message).
type Message uint8

const (
	MessageAuto Message = iota // io.prometheus.write.v2.Request, until the receiver shows that it does not know it
	Message1                   // prometheus.WriteRequest, of remote write 1.0
	Message2                   // io.prometheus.write.v2.Request, of remote write 2.0
)

// Metadata says whether and how help texts are sent (metadata_config). Remote
// write 2.0 carries type and unit with every series, and with Send the help
// too. In 1.0 all three are messages of their own.
type Metadata struct {
	Send       bool
	Interval   time.Duration // send_interval of 1.0, 1m
	MaxSamples int           // max_samples_per_send of 1.0: families in one request, 2000
}

// defaultMaxSize is the size of the log where none is given.
const defaultMaxSize = 256 << 20

// withDefaults fills in the durations that cannot be zero.
func (r Receiver) withDefaults() Receiver {
	fill := func(d *time.Duration, standard time.Duration) {
		if *d <= 0 {
			*d = standard
		}
	}
	fill(&r.Timeout, 30*time.Second)
	fill(&r.BatchSendDeadline, 5*time.Second)
	fill(&r.MinBackoff, 500*time.Millisecond)
	fill(&r.MaxBackoff, 30*time.Second)
	fill(&r.Metadata.Interval, time.Minute)
	r.Metadata.MaxSamples = cmp.Or(r.Metadata.MaxSamples, 2000)
	return r
}

// Config configures the pipe.
type Config struct {
	Dir          string        // wal.dir
	MaxSize      int64         // wal.max_size, bytes
	MaxAge       time.Duration // wal.max_age; 0: none
	SyncInterval time.Duration // wal.sync_interval; 0: every round
	Receivers    []Receiver
	Version      string   // for the User-Agent
	BootID       [16]byte // of the running boot, as in the sources; zero: unknown
}

// Task is something long-lived that package agent starts and joins.
type Task struct {
	Name   string
	Run    func(ctx context.Context) error
	Drains bool // Run returns by itself after Drain
}

// Writer is an open pipe. Append is one goroutine's at a time, Collect and
// Drain may be called from any.
type Writer struct {
	log     *wal.Log
	encoder *encoder
	senders []*sender
	refused refusals
	opened  time.Time

	due      atomic.Pointer[time.Time] // when the next collection of any source is due
	draining chan struct{}
	drain    sync.Once
}

// Open opens the log and a position in it for each receiver. It starts
// nothing and needs no network: errors are about the configuration, or about
// a log that another process uses.
func Open(c Config, log *slog.Logger) (*Writer, error) {
	return open(c, log, systemClock(c.BootID))
}

func open(c Config, log *slog.Logger, clock clock) (*Writer, error) {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	w := &Writer{draining: make(chan struct{}), opened: clock.now()}
	senders, err := newSenders(c, log, clock)
	if err != nil {
		return nil, err
	}
	w.log, err = wal.Open(c.Dir, wal.Options{
		MaxSize: c.MaxSize, MaxAge: c.MaxAge, SyncInterval: c.SyncInterval, Logger: log, OnEvict: w.evicted,
	})
	if err != nil {
		return nil, err
	}
	for _, s := range senders {
		s.due, s.draining = &w.due, w.draining
		if err := s.attach(w.log); err != nil {
			return nil, errors.Join(err, w.log.Close())
		}
	}
	for _, o := range w.log.Orphans() {
		log.Warn("a receiver that is no longer configured left collections unsent; to send them, give a receiver its name",
			"name", o.Name, "frames", o.Frames, "kept_until", o.Until.UTC().Format(time.RFC3339))
	}
	w.senders, w.encoder = senders, newEncoder(w.log, c.MaxSize, restore(w.log))
	return w, nil
}

// newSenders checks the receivers, all of them before it fails.
func newSenders(c Config, log *slog.Logger, clock clock) (senders []*sender, err error) {
	seen := make(map[string]bool)
	for _, r := range c.Receivers {
		s, problem := newSender(r.withDefaults(), c.Version, log, clock)
		switch {
		case problem != nil:
			err = errors.Join(err, fmt.Errorf("receiver %s: %w", r.Name, problem))
		case r.Name == "" || seen[r.Name]:
			err = errors.Join(err, fmt.Errorf("receiver %q: each receiver needs a name of its own", r.Name))
		}
		seen[r.Name] = true
		senders = append(senders, s)
	}
	return senders, err
}

// Append writes a collection to the log. next is when the earliest next
// collection of any source is due, zero if none is: a sender waits for it if
// that is soon. After an error the collection is lost and counted.
func (w *Writer) Append(c *metric.Collection, next time.Time) error {
	w.due.Store(&next) // before the senders wake
	before := w.encoder.drops
	err := w.encoder.append(c)
	w.refused.note(before, w.encoder.drops, len(c.Samples), err)
	return err
}

// Tasks returns what has to run: the log's housekeeping and each receiver.
func (w *Writer) Tasks() []Task {
	tasks := []Task{{Name: "wal", Run: w.log.Run}}
	for _, s := range w.senders {
		tasks = append(tasks, Task{Name: "receiver " + s.Name, Run: s.run, Drains: true})
	}
	return tasks
}

// Drain says that no more appends follow. A receiver that is neither backing
// off nor held gets what is pending, or the beginning of a backlog; then its
// task returns.
func (w *Writer) Drain() { w.drain.Do(func() { close(w.draining) }) }

// Close notes a clean stop and closes the log. The tasks must have returned.
func (w *Writer) Close() error {
	var errs []error
	for _, s := range w.senders {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, w.log.Close())...)
}

// Backlog is what a receiver does not have yet.
type Backlog struct {
	Receiver string
	Frames   uint64    // of the log, nearly all of them a collection
	Oldest   time.Time // when the first collection in the sender's hands was made; zero: it has none
}

// Backlog returns the backlog of each receiver, in the order of the configuration.
func (w *Writer) Backlog() []Backlog {
	end := w.log.End()
	var list []Backlog
	for _, s := range w.senders {
		list = append(list, s.stats.backlog(end))
	}
	return list
}

// Unwritten returns the bytes that are only in memory, because the disk refuses
// them: a process that ends without Close loses them.
func (w *Writer) Unwritten() int64 { return w.log.Stats().MemoryBytes }

// evicted counts what a receiver loses with a segment that had to go. What its
// sender has read already is in its memory and will be sent.
func (w *Writer) evicted(name string, reason wal.Reason, frames iter.Seq[wal.Frame]) {
	for _, s := range w.senders {
		if s.Name != name {
			continue
		}
		samples := 0
		for f := range frames {
			if !f.Acked && !s.stats.inHand(f.Seq) {
				samples += countSamples(f)
			}
		}
		s.stats.drop(dropFor(reason), samples)
	}
}

// dropFor returns what the log's reason is called in the metrics.
func dropFor(reason wal.Reason) dropReason {
	switch reason {
	case wal.EvictAge:
		return dropMaxAge
	case wal.EvictMemory:
		return dropMemory
	}
	return dropWALFull
}
