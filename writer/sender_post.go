package writer

import (
	"context"
	"fmt"
	"time"

	"nodepush/writer/wal"
)

// batch is what one request is made of: the first n pending collections, or
// the part p of one.
type batch struct {
	n int
	p part
}

// post sends a batch until there is an answer that waiting does not change,
// and returns it with the tally of the request in s.tally. What gets too old
// meanwhile leaves the batch, at its front, so that b.n may shrink. If the
// receiver does not understand the protocol, the same goes in the older one.
//
// An error means that ctx ended or that a drain left no time to wait.
func (s *sender) post(ctx context.Context, b *batch) (answer, error) {
	encoded := false
	for attempt := 0; ; attempt++ {
		moved, err := s.recheck(ctx, b.n)
		if err != nil {
			return answer{}, err
		}
		if s.expire(b) || moved || !encoded {
			s.tally = s.request.encode(s.feed.pending[:b.n], b.p, s.clock.now().UnixMilli())
			encoded = true
		}
		if s.tooOld(s.feed.pending[0]) { // the last one of the batch
			s.stats.drop(dropTooOld, s.tally.samples)
			s.tally.samples, s.tally.markers, s.tally.newest = 0, 0, 0
		}
		if s.tally.empty() {
			return answer{verdict: accepted}, nil
		}
		if len(s.request.body) > bodyLimit && b.n > 1 {
			return answer{verdict: tooLarge}, nil
		}
		a := s.client.post(ctx, s.protocol.current, s.request.body, attempt)
		a.verdict = s.protocol.judge(a)
		if a.verdict == tooLarge && s.tally.samples+s.tally.markers == 1 && len(s.request.body) < smallBody {
			a.verdict = noReceiver // a limit that refuses this refuses everything
		}
		if ctx.Err() != nil && a.code == 0 {
			return a, ctx.Err()
		}
		s.stats.request(a, len(s.request.body), attempt)
		if a.verdict == unsupported {
			if a.code/100 == 2 {
				a.note = "without X-Prometheus-Remote-Write-Samples-Written"
			}
			if s.fallBack(a, b.n) {
				encoded, attempt = false, -1
				continue
			}
			a = notUnderstood(a)
		}
		if s.final(a) {
			s.answered(a)
			return a, nil
		}
		if err := s.pause(ctx, a, b.n); err != nil {
			return a, err
		}
	}
}

// probe tries 2.0 again when that is due. It does not happen within a batch:
// what an answer means depends on the protocol.
func (s *sender) probe() {
	if s.protocol.probe(s.clock.now()) {
		s.speak()
	}
}

// fallBack changes to 1.0 because of an answer to the first n pending
// collections and reports whether that is allowed. A success that says nothing
// of what was written may still have been one.
func (s *sender) fallBack(a answer, n int) bool {
	if !s.protocol.fallBack(s.clock.now()) {
		return false
	}
	if a.code < 300 {
		s.unknownTo = max(s.unknownTo, s.feed.pending[n-1].seq+1)
	}
	s.report.fellBack(a)
	s.speak()
	s.save()
	return true
}

// notUnderstood is the answer of a receiver that must understand 2.0 and does
// not: the wrong receiver.
func notUnderstood(a answer) answer {
	a.err = fmt.Errorf("%s: it does not understand io.prometheus.write.v2.Request, which protobuf_message demands", a)
	a.verdict = noReceiver
	return a
}

// speak makes requests what the protocol wants them to be.
func (s *sender) speak() { s.request.speak(s.protocol.current.message(s.Metadata.Send)) }

// recheck looks again at the times of the first n pending collections, which
// may have come to lie ahead of the clock while a request failed: it waits for
// those that are near, and reports whether it corrected one that is far.
func (s *sender) recheck(ctx context.Context, n int) (moved bool, err error) {
	for _, it := range s.feed.pending[:n] {
		before := it.time
		wait, _ := s.clock.lead(it.decoded) // what it cannot decide was decided before
		for wait > 0 {
			if s.stopping() {
				return false, errStopped
			}
			if !s.sleep(ctx, wait, nil) {
				return false, ctx.Err()
			}
			wait, _ = s.clock.lead(it.decoded)
		}
		moved = moved || it.time != before
	}
	return moved, nil
}

// smallBody is a body that no receiver can mean by a 413.
const smallBody = 4 << 10

// final reports whether sending the same again would be of no use.
func (s *sender) final(a answer) bool {
	return a.verdict != tryAgain && (a.verdict != noReceiver || s.DropOnEndpointError)
}

// answered notes a final answer.
func (s *sender) answered(a answer) {
	switch a.verdict {
	case noReceiver:
		s.report.failed(a, 0)
		return
	case accepted:
		s.careful = false
		s.report.accepted(s.protocol.current)
		s.fit(s.tally.samples + s.tally.markers)
	case tooLarge:
		s.report.smaller(s.tally.samples+s.tally.markers, len(s.request.body))
		s.most, s.fitted = max(1, (s.tally.samples+s.tally.markers)/2), 0
	}
	s.backoff.reset()
	s.stats.hold(false)
	if outage := s.report.recovered(s.stats.waiting(s.log.End())); outage > 0 {
		s.rest = s.backoff.start(outage)
	}
}

// raiseAfter is how many requests of about the learnt limit have to be
// accepted before twice as much is tried.
const raiseAfter = 32

// fit notes that so many samples were accepted in one request. A limit that was
// learnt from a 413 is raised little by little, since a proxy may have given
// that answer for an hour, and forgotten where it limits nothing any more.
func (s *sender) fit(samples int) {
	if s.most == 0 || 2*samples < s.most {
		return
	}
	if s.fitted++; s.fitted < raiseAfter {
		return
	}
	s.most, s.fitted = 2*s.most, 0
	if s.most >= newLimits(s.MaxSamplesPerSend).catchUp {
		s.most = 0
	}
}

// pause waits after a failure.
func (s *sender) pause(ctx context.Context, a answer, n int) error {
	if a.unknown {
		s.unknownTo = max(s.unknownTo, s.feed.pending[n-1].seq+1)
	}
	wait := s.backoff.next(a)
	s.stats.hold(s.backoff.held())
	s.report.failed(a, wait)
	if s.stopping() {
		return errStopped
	}
	if !s.sleep(ctx, wait, nil) {
		return ctx.Err()
	}
	if s.stopping() {
		return errStopped
	}
	return nil
}

// expire drops what is too old from the front of a batch of several
// collections and reports whether it did. The last one stays, since only its
// encoding tells how many samples the batch has of it.
func (s *sender) expire(b *batch) bool {
	n := b.n
	for b.n > 1 && s.tooOld(s.feed.pending[0]) {
		s.stats.drop(dropTooOld, s.feed.pending[0].count)
		s.acknowledge(1)
		b.n--
	}
	return b.n < n
}

func (s *sender) tooOld(it item) bool {
	return s.SampleAgeLimit > 0 && s.clock.now().Sub(time.UnixMilli(it.time)) > s.SampleAgeLimit
}

// announce writes down that the first n pending collections are about to be
// sent. A crash before the answer leaves their range in the cursor, from where
// it is sent again with the same cut.
func (s *sender) announce(n int) {
	s.state.InFlight = wal.Range{From: s.feed.next, To: s.feed.pending[n-1].seq + 1}
	s.save()
}

// acknowledge writes down that there is a final answer for the first n
// pending collections.
func (s *sender) acknowledge(n int) {
	s.feed.done(n)
	s.state.Acked = s.feed.position()
	if s.state.InFlight.From = s.feed.next; s.state.InFlight.From >= s.state.InFlight.To {
		s.state.InFlight = wal.Range{}
	}
	s.save()
}

// acknowledged acknowledges n collections unless there is an error.
func (s *sender) acknowledged(n int, err error) error {
	if err == nil {
		s.acknowledge(n)
	}
	return err
}

// save writes the cursor. A cursor that cannot be written costs a repetition
// after a restart, no data, so that sending goes on.
func (s *sender) save() {
	s.state.Protocol = s.protocol.found()
	if err := s.cursor.Save(s.state); err != nil {
		s.report.cursor(err)
	}
}
