package writer

import (
	"context"
	"strconv"
	"time"
)

// A receiver of the 1.0 protocol that refuses one series refuses everything
// that travels with it (Prometheus rolls the whole request back). So the
// series is searched for by halving, and left out for a while.
const (
	searchEvery   = time.Minute      // at most one search in this time
	searchSurvey  = 14               // requests (2+4+8) after which, all rejected, the collection as such is what is refused
	searchLimit   = 128              // requests of one search
	leaveCulprits = 10 * time.Minute // how long a found series is left out
	leaveSuspects = searchEvery      // how long the rest of an unfinished search is: the next one takes it up
	namedCulprits = 5                // in one line of the log
)

// reject decides about a collection, or a part of it, that was refused. In 2.0
// the receiver has stored what it does not refuse.
func (s *sender) reject(ctx context.Context, p part, a answer) error {
	if s.protocol.current == protocol2 {
		s.count(a)
		return nil
	}
	now := s.clock.now()
	found := s.request.split(s.feed.pending[0].decoded, p, 1)
	if len(found) < 2 || now.Sub(s.searched) < searchEvery && !s.searched.IsZero() {
		s.count(a)
		return nil
	}
	s.searched = now
	return s.search(ctx, p, a)
}

// search finds the series for which the part was refused with the answer. The
// halves that are accepted are delivered with it.
func (s *sender) search(ctx context.Context, p part, refusal answer) error {
	var culprits []part
	queue, requests, useful := []part{p}, 0, false
	for len(queue) > 0 && requests < searchLimit && (useful || requests < searchSurvey) {
		halves := s.request.halve(s.feed.pending[0].decoded, queue[0])
		queue = queue[1:]
		for _, half := range halves {
			a, err := s.post(ctx, &batch{1, half})
			if err != nil {
				return err
			}
			requests++
			if a.verdict == rejected {
				refusal = a
			}
			switch {
			case a.verdict != rejected:
				useful = useful || a.verdict == accepted
				err = s.settle(ctx, half, a)
			case s.tally.samples+s.tally.markers == 1:
				culprits = append(culprits, half)
				s.count(a)
			default:
				queue = append(queue, half)
			}
			if err != nil {
				return err
			}
		}
	}
	return s.conclude(queue, culprits, useful, refusal)
}

// conclude counts what is left of a search and leaves out what it found.
func (s *sender) conclude(rest, culprits []part, useful bool, refusal answer) error {
	c, now := s.feed.pending[0], s.clock.now()
	for _, p := range rest {
		s.tally = s.request.encode(s.feed.pending[:1], p, now.UnixMilli())
		s.count(refusal)
	}
	if !useful {
		return nil // nothing of it is wanted, so no series is to blame
	}
	for _, p := range rest {
		s.request.leaveOut(c.decoded, p, now.Add(leaveSuspects).UnixMilli())
	}
	var names []string
	for _, p := range culprits {
		names = append(names, s.request.leaveOut(c.decoded, p, now.Add(leaveCulprits).UnixMilli())...)
	}
	s.report.culprits(names)
	return nil
}

// onWire returns the series of a collection in p that a request would carry.
func (r *request) onWire(c *decoded, p part) []int {
	r.collect([]item{{decoded: c}}, c.dict)
	texts := r.names.of(c.dict)
	var ids []int
	for id := p.from; id < min(p.to, len(c.dict.series)); id++ {
		text := texts.at(id)
		if (c.present.has(id) || r.isGone(0, id)) && len(text) > 0 && !r.names.leftOut(text) {
			ids = append(ids, id)
		}
	}
	return ids
}

// split cuts p into parts of so many series each; together they cover p.
func (r *request) split(c *decoded, p part, series int) []part {
	ids := r.onWire(c, p)
	parts := []part{p}
	for n := series; n < len(ids); n += series {
		parts[len(parts)-1].to = ids[n]
		parts = append(parts, part{ids[n], p.to})
	}
	return parts
}

// take cuts off the part with the first so many series of p; rest is empty
// when it is all of p.
func (r *request) take(c *decoded, p part, series int) (first, rest part) {
	parts := r.split(c, p, series)
	return parts[0], part{parts[0].to, p.to}
}

// halve cuts p into two parts with as many series.
func (r *request) halve(c *decoded, p part) []part {
	return r.split(c, p, max(1, (len(r.onWire(c, p))+1)/2))
}

// leaveOut leaves the series of a collection in p out of requests until the
// given time, and returns their names.
func (r *request) leaveOut(c *decoded, p part, until int64) (names []string) {
	texts := r.names.of(c.dict)
	for _, id := range r.onWire(c, p) {
		text := texts.at(id)
		r.names.leave(text, until)
		names = append(names, showLabels(eachLabel1(text)))
	}
	return names
}

// showLabels writes labels as in PromQL.
func showLabels(labels labelRange) string {
	name, rest := "", []byte{}
	labels(func(key, value string) {
		if key == nameLabel {
			name = value
			return
		}
		if len(rest) > 0 {
			rest = append(rest, ", "...)
		}
		rest = strconv.AppendQuote(append(append(rest, key...), '='), value)
	})
	return name + "{" + string(rest) + "}"
}
