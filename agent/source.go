package agent

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"nodepush/metric"
)

// source makes the rounds of the collectors that share an interval.
//
//	due ─▶ tasks to the idle workers ─▶ outcomes, or the deadline ─▶ one collection ─▶ append
//
// It belongs to the goroutine of run; due alone may be read by others.
type source struct {
	metric   *metric.Source
	pace     pace
	deadline time.Duration // of the workers, from the start of a round
	workers  []*worker
	done     chan outcome // room for one outcome of each worker
	own      *self        // the agent's own metrics; nil but in the source of the default interval
	counts   *sourceCounts
	append   func(*metric.Collection) // hands a finished collection on; it may be reused afterwards
	epoch    time.Time                // what due counts from
	due      atomic.Int64             // nanoseconds from epoch to the start of the next round, or of the one in hand

	round      uint64
	meta       metric.Buffer // what the agent says of the round
	collection metric.Collection
}

// sourceCounts counts the rounds of a source since the process began.
type sourceCounts struct {
	rounds, skipped, samples, refused atomic.Uint64
	took                              atomic.Uint64 // math.Float64bits of the seconds the last round took
	started                           atomic.Int64  // CLOCK_BOOTTIME of the last round, ns; 0: none; what a reload misses is counted as skipped
}

// room is kept free at the end of an interval, so that a round whose
// collectors hang is appended before the next one starts.
func room(interval time.Duration) time.Duration { return min(interval/10, 500*time.Millisecond) }

// run makes rounds until stop ends. A round that has begun is finished, with
// what is there when hard ends.
func (s *source) run(stop, hard context.Context) {
	for {
		timer := time.NewTimer(s.plan())
		select {
		case <-timer.C:
		case <-stop.Done():
			timer.Stop()
			return
		}
		if stop.Err() != nil {
			return
		}
		s.counts.skipped.Add(uint64(s.pace.start()))
		s.counts.started.Store(int64(s.pace.started))
		c := s.collect(hard)
		s.plan()
		s.append(c)
	}
}

// plan publishes when the next round is due and returns how long that is from now.
func (s *source) plan() time.Duration {
	wait := s.pace.wait()
	s.due.Store(int64(time.Since(s.epoch) + wait))
	return wait
}

// collect makes one round. The collection is valid until the next.
func (s *source) collect(hard context.Context) *metric.Collection {
	s.round++
	start := time.Now()
	now := s.pace.clock.wall()
	mono := s.pace.clock.boot()
	ctx, cancel := context.WithTimeout(hard, s.deadline)
	defer cancel()
	s.handOut(ctx, start, now)
	s.await(ctx)
	s.meta.Reset()
	s.judge(start)
	c := &s.collection
	*c = metric.Collection{Source: s.metric, Time: now.UnixMilli(), Mono: mono.Milliseconds(), Samples: c.Samples[:0]}
	for _, w := range s.workers {
		if w.current {
			c.Samples = append(c.Samples, w.buf.Samples()...)
		}
	}
	s.counts.rounds.Add(1)
	s.counts.took.Store(math.Float64bits(seconds(time.Since(start))))
	if s.own != nil {
		c.Samples = append(c.Samples, s.own.samples(now)...)
	}
	c.Samples = append(c.Samples, s.meta.Samples()...)
	s.counts.samples.Add(uint64(len(c.Samples)))
	return c
}

// handOut gives the round to each worker that is back from the last.
func (s *source) handOut(ctx context.Context, start, now time.Time) {
	s.receive()
	for _, w := range s.workers {
		w.current = false
		if !w.busy {
			w.busy, w.since = true, start
			w.tasks <- task{ctx, s.round, now}
		}
	}
}

// receive takes the outcomes that are there.
func (s *source) receive() {
	for {
		select {
		case o := <-s.done:
			s.take(o)
		default:
			return
		}
	}
}

// take notes that a worker is back. The samples of an earlier round stay in
// its buffer and are overwritten by its next task.
func (s *source) take(o outcome) {
	o.worker.busy = false
	o.worker.outcome = o
	o.worker.current = o.round == s.round
}

// await returns when all workers are back or ctx has ended. What is finished
// by then counts.
func (s *source) await(ctx context.Context) {
	for s.busy() {
		select {
		case o := <-s.done:
			s.take(o)
		case <-ctx.Done():
			s.receive()
			return
		}
	}
}

func (s *source) busy() bool {
	for _, w := range s.workers {
		if w.busy {
			return true
		}
	}
	return false
}

// judge counts, logs and puts into samples how each collector did in the
// round. One that failed keeps the samples it got; one that is late has none.
func (s *source) judge(start time.Time) {
	for _, w := range s.workers {
		name, success, took := w.collector.Name(), 1.0, w.outcome.took
		switch {
		case !w.current:
			success, took = 0, time.Since(w.since)
			w.counts.late.Add(1)
			w.report.failed(start, fmt.Errorf("not finished within %v; its samples of the round are lost", s.deadline))
		case w.outcome.err != nil:
			success = 0
			w.counts.failed(w.outcome.err)
			w.report.failed(start, w.outcome.err)
		default:
			w.report.worked()
		}
		s.meta.Add(scrapeSuccess, success, name)
		s.meta.Add(scrapeDuration, seconds(took), name)
	}
}

// seconds rounds to microseconds: digits that mean nothing cost bytes in the log.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Second)
}
