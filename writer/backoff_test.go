package writer

import (
	"testing"
	"time"
)

func TestBackoffDoubles(t *testing.T) {
	b := newBackoff(500*time.Millisecond, 30*time.Second)
	b.random = func() float64 { return 0.5 } // no jitter below 30 s, 75 % above
	var got []time.Duration
	for range 8 {
		got = append(got, b.next(answer{verdict: tryAgain}))
	}
	for i, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 22500, 22500} {
		if got[i] != want*time.Millisecond {
			t.Errorf("delay %d = %v, want %v", i, got[i], want*time.Millisecond)
		}
	}
	b.reset()
	if got := b.next(answer{verdict: tryAgain}); got != 500*time.Millisecond {
		t.Errorf("delay after a success = %v, want 500ms", got)
	}
}

func TestBackoffJitter(t *testing.T) {
	tests := []struct {
		name   string
		delay  time.Duration
		lo, hi time.Duration
	}{
		{"short", 10 * time.Second, 9 * time.Second, 11 * time.Second},
		{"at 30 s", 30 * time.Second, 15 * time.Second, 30 * time.Second},
		{"long", time.Minute, 30 * time.Second, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackoff(tt.delay, tt.delay)
			least, most := time.Hour, time.Duration(0)
			for range 1000 {
				d := b.next(answer{verdict: tryAgain})
				least, most = min(least, d), max(most, d)
			}
			if least < tt.lo || most > tt.hi || most-least < (tt.hi-tt.lo)/2 {
				t.Errorf("delays of %v from %v to %v, want spread over %v to %v", tt.delay, least, most, tt.lo, tt.hi)
			}
		})
	}
}

func TestBackoffRetryAfter(t *testing.T) {
	tests := []struct {
		name        string
		asked, want time.Duration
	}{
		{"longer than the backoff", 40 * time.Second, 40 * time.Second},
		{"shorter than the backoff", 100 * time.Millisecond, time.Second},
		{"too long", time.Hour, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackoff(time.Second, 30*time.Second)
			if got := b.next(answer{verdict: tryAgain, retryAfter: tt.asked}); got != tt.want {
				t.Errorf("next after Retry-After %v = %v, want %v", tt.asked, got, tt.want)
			}
		})
	}
}

func TestBackoffProbes(t *testing.T) {
	b := newBackoff(time.Second, 30*time.Second)
	b.random = func() float64 { return 0.5 }
	for i, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
		if got := b.next(answer{verdict: noReceiver}); got != want*time.Minute {
			t.Errorf("probe %d after %v, want %v", i, got, want*time.Minute)
		}
		b.next(answer{verdict: tryAgain}) // what happens in between does not change it
	}
	if !b.held() {
		t.Error("held() = false while probing")
	}
	if b.reset(); b.held() {
		t.Error("held() = true after an answer")
	}
}

func TestBackoffStartAfterOutage(t *testing.T) {
	b := newBackoff(time.Second, 30*time.Second)
	if got := b.start(longOutage - 1); got != 0 {
		t.Errorf("start after a short outage = %v, want 0", got)
	}
	most := time.Duration(0)
	for range 1000 {
		most = max(most, b.start(longOutage))
	}
	if most < startSpread/2 || most >= startSpread {
		t.Errorf("latest of 1000 starts after %v, want nearly %v", most, startSpread)
	}
}

func TestBackoffNeverOverflows(t *testing.T) {
	b := newBackoff(time.Nanosecond, 1<<62)
	for i := range 200 {
		if got := b.next(answer{verdict: tryAgain}); got < 0 {
			t.Fatalf("delay %d = %v", i, got)
		}
	}
}
