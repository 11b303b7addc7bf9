package writer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// sender delivers the log to one receiver: one request at a time, oldest
// first. A collection is acknowledged after the receiver answered for it.
// Everything here is one goroutine's, the one in run.
//
//	feed ─▶ await: a batch is due ─▶ deliver ─▶ post ─▶ answer ─┬─ accepted ──▶ acknowledge
//	                                    ▲                       ├─ rejected ──▶ 2.0: count; 1.0: single collections, search, count
//	                                    │                       ├─ too large ─▶ halves
//	                                    ├── as 1.0 ◀────────────┼─ unsupported
//	                                    └── wait, try again ◀───┴─ anything else
type sender struct {
	Receiver
	log      *wal.Log
	cursor   *wal.Cursor
	feed     *feed
	protocol *negotiation
	request  *request
	client   *client
	backoff  *backoff
	clock    clock
	stats    *stats
	report   *reporter
	due      *atomic.Pointer[time.Time] // when the next collection of any source is due
	draining <-chan struct{}            // closed: nothing will be appended any more

	state     wal.State     // as last saved
	most      int           // samples a request may have, learnt from a 413; 0: not yet
	fitted    int           // requests of about that many that were accepted since
	unknownTo uint64        // collections below this number may have been accepted before
	careful   bool          // until the first success: anything may have been accepted before, and 1.0 gets one collection a request
	searched  time.Time     // when the last search for rejected series began
	rest      time.Duration // before the next batch: the first success after a long outage does not start a race
	tally     tally         // of the request's body
	described time.Time     // when metadata was last begun to be sent

	undescribed []*metric.Desc // families whose metadata is still to be sent
}

// errStopped ends run: there is nothing left that may be sent.
var errStopped = errors.New("stopped")

// run delivers until ctx ends, at once, or until after a drain everything is
// delivered that can be without waiting. What was not stays behind the cursor.
func (s *sender) run(ctx context.Context) error {
	defer s.client.close()
	defer s.report.refusals()
	defer func() { s.feed.reader.Close() }() // of the last feed
	for budget := s.limits().live; budget > 0; {
		n := s.await(ctx)
		if n == 0 {
			return nil
		}
		if s.stopping() {
			budget -= s.feed.samplesIn(n) // at least one batch, but no hurry to get rid of a backlog
		}
		if err := s.deliver(ctx, n); err != nil {
			return nil // errStopped or the end of ctx
		}
		s.describe(ctx)
		if s.rest > 0 && !s.sleep(ctx, s.rest, nil) {
			return nil
		}
		s.rest = 0
	}
	return nil
}

// stopping reports whether the writer drains.
func (s *sender) stopping() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// limits returns the limits that hold at present.
func (s *sender) limits() limits { return newLimits(s.MaxSamplesPerSend).capped(s.most) }

// await waits for a batch that is due and returns how many collections it
// has; 0: there will be none.
func (s *sender) await(ctx context.Context) int {
	for ctx.Err() == nil {
		changed := s.log.Changed() // before the log is read, or an append in between is missed
		s.rewind()
		final := s.feed.fill(s.limits(), s.clock.now())
		n, wait := s.ready(final)
		if n > 0 && (wait <= 0 || s.stopping()) {
			return n
		}
		if s.stopping() || !s.sleep(ctx, wait, changed) {
			return 0
		}
	}
	return 0
}

// idle is how long a sender sleeps that only a change of the log can wake.
const idle = time.Hour

// sleep waits for the time, a change of the log or a drain, and is false at
// the end of ctx.
func (s *sender) sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-changed:
	case <-s.draining:
	}
	return true
}

// dueMargin is the part of the deadline within which the next collection comes
// too late to be waited for: it takes time to be made, and an interval as long
// as the deadline is to mean one collection a request, not one or two by chance.
const dueMargin = 8

// ready returns how many collections the next batch has and how long it is
// to wait: for the time of its first collection, or for more to come. final
// says that the batch cannot grow.
func (s *sender) ready(final bool) (n int, wait time.Duration) {
	n, wait = s.present(s.feed.cut(s.limits()))
	switch {
	case n == 0:
		return 0, wait
	case s.careful && s.protocol.current == protocol1:
		return 1, 0
	case final || n < len(s.feed.pending):
		return n, 0
	}
	deadline := s.feed.pending[0].read.Add(s.BatchSendDeadline)
	if next := s.due.Load(); next == nil || next.IsZero() || !next.Before(deadline.Add(-s.BatchSendDeadline/dueMargin)) {
		return n, 0 // nothing would come in time
	}
	return n, deadline.Sub(s.clock.now())
}

// present returns how many of the first n collections are not of the future,
// or how long to wait for the first.
func (s *sender) present(n int) (int, time.Duration) {
	for i := 0; i < n; i++ {
		wait, ok := s.clock.lead(s.feed.pending[i].decoded)
		switch {
		case wait > 0 && i == 0:
			return 0, wait
		case wait > 0 || !ok && i > 0:
			return i, 0
		case !ok:
			s.stats.drop(dropFuture, s.feed.pending[0].count)
			s.acknowledge(1)
			n, i = n-1, -1
		}
	}
	return n, idle
}

// deliver sees the first n pending collections through to a final answer and
// acknowledges them. An error means that ctx ended or that there is no time
// left to try again; what was not acknowledged is sent again after a restart.
func (s *sender) deliver(ctx context.Context, n int) error {
	s.probe()
	s.announce(n)
	return s.resolve(ctx, n)
}

// resolve is deliver for a batch or a piece of one.
func (s *sender) resolve(ctx context.Context, n int) error {
	if n == 1 && s.feed.pending[0].count > s.limits().parts {
		return s.acknowledged(1, s.inParts(ctx, whole))
	}
	b := batch{n, whole}
	a, err := s.post(ctx, &b)
	switch {
	case err != nil:
		return err
	case b.n == 1:
		return s.acknowledged(1, s.settle(ctx, whole, a))
	case a.verdict == rejected && s.protocol.current == protocol1:
		return s.oneByOne(ctx, b.n)
	case a.verdict == tooLarge:
		return s.halves(ctx, b.n)
	}
	s.count(a)
	s.acknowledge(b.n)
	return nil
}

// oneByOne sends each collection by itself. A receiver of the 1.0 protocol
// may refuse a whole request because of one sample.
func (s *sender) oneByOne(ctx context.Context, n int) error {
	for range n {
		if err := s.resolve(ctx, 1); err != nil {
			return err
		}
	}
	return nil
}

// halves sends a batch in two pieces.
func (s *sender) halves(ctx context.Context, n int) error {
	if err := s.resolve(ctx, n/2); err != nil {
		return err
	}
	return s.resolve(ctx, n-n/2)
}

// settle decides about one collection, or a part of it, by its answer.
func (s *sender) settle(ctx context.Context, p part, a answer) error {
	switch a.verdict {
	case rejected:
		return s.reject(ctx, p, a)
	case tooLarge:
		if sent := s.tally.samples + s.tally.markers; sent > 1 {
			return s.inParts(ctx, p)
		}
	}
	s.count(a)
	return nil
}

// inParts sends the series of the first pending collection in p, in requests
// as large as the limit is by then: each answer may change it.
func (s *sender) inParts(ctx context.Context, p part) error {
	for {
		first, rest := s.request.take(s.feed.pending[0].decoded, p, s.limits().parts)
		a, err := s.post(ctx, &batch{1, first})
		if err == nil {
			err = s.settle(ctx, first, a)
		}
		if err != nil || rest.from == rest.to {
			return err
		}
		p = rest
	}
}

// count counts the samples of the request that had this final answer.
func (s *sender) count(a answer) {
	t := s.tally
	s.stats.drop(dropRelabel, t.relabel)
	s.stats.drop(dropRejected, t.leftOut)
	s.stats.drop(dropDamaged, t.damaged)
	lost := s.lost(a)
	if a.verdict == accepted || a.verdict == rejected {
		s.stats.accept(t, t.samples-lost)
		s.report.refused(a, lost)
	}
	switch {
	case a.verdict == tooLarge:
		s.stats.drop(dropTooLarge, lost)
	case a.verdict == noReceiver:
		s.stats.drop(dropEndpoint, lost)
	case s.uncertain():
		s.stats.duplicate(lost)
	case a.verdict == rejected:
		s.stats.drop(dropRejected, lost)
	default:
		s.stats.drop(dropNotWritten, lost)
	}
}

// lost returns how many samples of the request the receiver does not have. In
// 2.0 it says itself how many it wrote, markers among them; what it does not
// state with a refusal is 0 (specification 2.0, "Required Written Response
// Headers").
func (s *sender) lost(a answer) int {
	t := s.tally
	switch {
	case s.protocol.current == protocol2 && (a.verdict == accepted || a.verdict == rejected) && !t.empty():
		all := uint64(t.samples + t.markers)
		return min(int(all-min(all, a.counts.written)), t.samples)
	case a.verdict == accepted:
		return 0
	}
	return t.samples
}

// uncertain reports whether the first pending collection may have been
// accepted before, by a request whose answer was never seen.
func (s *sender) uncertain() bool { return s.careful || s.feed.pending[0].seq < s.unknownTo }
