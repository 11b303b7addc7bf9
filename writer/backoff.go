package writer

import (
	"math/rand/v2"
	"time"
)

// How long a receiver that is none is left alone before it is probed again,
// and the longest wait a receiver can ask for with Retry-After.
const (
	firstProbe    = time.Minute
	lastProbe     = 15 * time.Minute
	maxRetryAfter = 5 * time.Minute
)

// A fleet whose receiver was away for longOutage starts sending within
// startSpread, not at once.
const (
	longOutage  = 5 * time.Minute
	startSpread = 10 * time.Second
)

// backoff decides how long to wait after a failure. It is one receiver's,
// used by one goroutine.
type backoff struct {
	min, max time.Duration
	random   func() float64 // in [0, 1)

	failures int           // retried in a row
	probe    time.Duration // the wait before the next probe; 0: the receiver is not held
}

func newBackoff(lo, hi time.Duration) *backoff {
	return &backoff{min: lo, max: max(lo, hi), random: rand.Float64}
}

// reset forgets the failures: the receiver answered for a batch.
func (b *backoff) reset() { b.failures, b.probe = 0, 0 }

// next returns how long to wait before the request is sent again.
func (b *backoff) next(a answer) time.Duration {
	if a.verdict == noReceiver {
		return b.nextProbe()
	}
	delay := b.min
	for range min(b.failures, 62) {
		if delay >= b.max/2 {
			delay = b.max
			break
		}
		delay *= 2
	}
	b.failures++
	if a.retryAfter > 0 {
		return min(max(a.retryAfter, delay), maxRetryAfter)
	}
	return b.jitter(min(delay, b.max))
}

// nextProbe doubles from a minute to a quarter of an hour. Other failures
// between two probes do not change it.
func (b *backoff) nextProbe() time.Duration {
	if b.probe == 0 {
		b.probe = firstProbe
	} else {
		b.probe = min(2*b.probe, lastProbe)
	}
	return b.slightly(b.probe)
}

// held reports whether the receiver turned out to be none.
func (b *backoff) held() bool { return b.probe > 0 }

// jitter is slight while delays are short, so that retries look orderly, and
// wide when they are long, so that a fleet does not march.
func (b *backoff) jitter(d time.Duration) time.Duration {
	if d < 30*time.Second {
		return b.slightly(d)
	}
	return time.Duration(float64(d) * (0.5 + 0.5*b.random()))
}

// slightly varies d by a tenth.
func (b *backoff) slightly(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*b.random()))
}

// start returns how long to wait with the backlog after an outage.
func (b *backoff) start(outage time.Duration) time.Duration {
	if outage < longOutage {
		return 0
	}
	return time.Duration(float64(min(startSpread, b.max)) * b.random())
}
