package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"nodepush/collector"
	"nodepush/metric"
)

// worker gives a collector a goroutine and a buffer of its own, so that one
// that hangs holds nothing but itself.
//
// The buffer belongs to the worker from the moment it takes a task until its
// outcome is received, and to the source for the rest of the time.
type worker struct {
	collector collector.Collector
	tasks     chan task // at most one is under way, so sending never blocks; closed to end the worker
	buf       metric.Buffer
	counts    *collectorCounts
	report    trouble

	// The source's view of the worker.
	busy    bool      // its outcome has not come
	since   time.Time // start of the round it was last given
	current bool      // its outcome is one of the round in hand
	outcome outcome
}

// task is one round's work.
type task struct {
	ctx   context.Context
	round uint64
	now   time.Time
}

// outcome is what became of a task.
type outcome struct {
	worker *worker
	round  uint64
	took   time.Duration
	err    error
}

// collectorCounts counts what went wrong in a collector since the process began.
type collectorCounts struct {
	late     atomic.Uint64 // rounds it had not finished in time
	failures atomic.Uint64 // rounds with an error, panics included
	panics   atomic.Uint64
}

// run collects task by task until there are no more. Sending to done never
// blocks: it has room for each worker's one outcome.
func (w *worker) run(done chan<- outcome) {
	for t := range w.tasks {
		start := time.Now()
		err := collect(t.ctx, w.collector, t.now, &w.buf)
		done <- outcome{w, t.round, time.Since(start), err}
	}
}

// panicError is a panic of a collector, made an error.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// collect empties buf and fills it from c. After a panic it is empty again,
// because nobody knows how far the collector had got.
func collect(ctx context.Context, c collector.Collector, now time.Time, buf *metric.Buffer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			buf.Reset()
			err = &panicError{p, debug.Stack()}
		}
	}()
	buf.Reset()
	return c.Collect(ctx, now, buf)
}

// failed counts a round that ended with err.
func (c *collectorCounts) failed(err error) {
	c.failures.Add(1)
	if _, ok := errors.AsType[*panicError](err); ok {
		c.panics.Add(1)
	}
}
