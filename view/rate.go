package view

import (
	"math"

	"nodepush/receiver"
)

// counters makes rates of stored counters. The receiver keeps only the newest
// sample of a series, so the one before is remembered here: for the series
// that the last snapshot asked for and no others.
type counters struct{ last, now map[string]counter }

// counter is a reading of a counter.
type counter struct {
	at          int64 // milliseconds since the epoch
	value, rate float64
}

// next begins a snapshot. A counter that the last one did not ask for, because
// its series was stale, begins anew.
func (c *counters) next() {
	c.last, c.now = c.now, make(map[string]counter)
}

// rate is the increase a second between the two newest samples that were
// seen, NaN when there is only one or when the counter was reset between them.
func (c *counters) rate(key string, s receiver.Sample) float64 {
	r, before := counter{s.Time, s.Value, math.NaN()}, c.last[key]
	switch {
	case before.at == 0:
	case s.Time == before.at: // nothing has come since
		r = before
	case s.Time > before.at && s.Value >= before.value:
		r.rate = (s.Value - before.value) * 1000 / float64(s.Time-before.at)
	}
	c.now[key] = r
	return r.rate
}
