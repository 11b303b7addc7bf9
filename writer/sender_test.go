package writer

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"
)

func TestSenderDelivers(t *testing.T) {
	a, b := newSink(t, nil), newSink(t, nil)
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("a", a.URL), testReceiver("b", b.URL)).start()
	for range 4 {
		p.collect(10)
	}
	p.collect(7) // three series end
	eventually(t, "both sinks have everything", func() bool { return a.samples() == 47 && b.samples() == 47 })
	eventually(t, "markers of staleness", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.dropped == 3 })
	eventually(t, "acknowledged", func() bool {
		return p.value("nodepush_backlog_frames", "a") == 0 && p.value("nodepush_backlog_frames", "b") == 0
	})
	if got := p.value("nodepush_sent_samples_total", "a"); got != 47 {
		t.Errorf("sent samples = %v, want 47", got)
	}
	if got := p.value("nodepush_last_sent_timestamp_seconds", "b"); got != float64(p.time-15_000)/1000 {
		t.Errorf("last sent timestamp = %v, want that of the last collection", got)
	}
	p.stop()
}

// What each status costs, with one collection that is answered with it once
// or for ever.
func TestSenderAnswers(t *testing.T) {
	tests := []struct {
		status  int
		arrives bool   // with the status once, then 204
		reason  string // with the status for ever; "": not dropped
	}{
		{400, false, "rejected"}, {409, false, "rejected"}, {422, false, "rejected"},
		{408, true, ""}, {429, true, ""}, {500, true, ""}, {501, true, ""}, {502, true, ""}, {503, true, ""}, {504, true, ""}, {529, true, ""},
		{0, true, ""}, // the connection breaks
	}
	for _, tt := range tests {
		t.Run(itoa(tt.status), func(t *testing.T) {
			var forEver atomic.Bool
			s := newSink(t, func(n int, w *prompb.WriteRequest) int {
				if n == 0 || forEver.Load() {
					return tt.status
				}
				return 204
			})
			p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", s.URL)).start()
			p.collect(1)
			if tt.arrives {
				eventually(t, "the sample arrives", func() bool { return s.samples() == 1 })
			} else {
				eventually(t, "the sample is dropped", func() bool { return p.dropped("r", tt.reason) == 1 })
			}
			forEver.Store(true)
			p.collect(1)
			if tt.reason == "" {
				eventually(t, "it is retried", func() bool { return s.count() > 5 })
				if got := p.value("nodepush_request_retries_total", "r"); got < 2 {
					t.Errorf("retries = %v, want some", got)
				}
				s.mu.Lock()
				if got := s.headers[len(s.headers)-1].Get("Retry-Attempt"); got == "" || got == "0" {
					t.Errorf("Retry-Attempt of a repetition = %q", got)
				}
				s.mu.Unlock()
			} else {
				eventually(t, "the next is dropped", func() bool { return p.dropped("r", tt.reason) == 2 })
			}
			forEver.Store(false)
			p.collect(1)
			eventually(t, "what follows arrives", func() bool { return s.has("m0") > 0 && p.value("nodepush_backlog_frames", "r") == 0 })
			p.stop()
		})
	}
}

// itoa names a status.
func itoa(status int) string { return answer{code: status}.label() }

func TestSenderEndpointErrors(t *testing.T) {
	for _, status := range []int{301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 418, 425, 426, 451, 499} {
		t.Run(itoa(status), func(t *testing.T) {
			s := newSink(t, func(int, *prompb.WriteRequest) int { return status })
			dropping := testReceiver("dropping", s.URL)
			dropping.DropOnEndpointError = true
			p := openPipe(t, t.TempDir(), testClock(), testReceiver("held", s.URL), dropping).start()
			p.collect(3)
			eventually(t, "held and dropped", func() bool {
				return p.value("nodepush_receiver_held", "held") == 1 && p.dropped("dropping", "endpoint") == 3
			})
			if got := p.dropped("held", "endpoint"); got != 0 {
				t.Errorf("the held receiver lost %d samples", got)
			}
			if n := s.count(); n != 2 {
				t.Errorf("%d requests, want one of each receiver", n)
			}
			p.stop()
		})
	}
}

// A held receiver gets everything when it is one again after a restart.
func TestSenderHeldLosesNothing(t *testing.T) {
	var gone atomic.Bool
	gone.Store(true)
	s := newSink(t, func(int, *prompb.WriteRequest) int {
		if gone.Load() {
			return 401
		}
		return 200
	})
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	for range 3 {
		p.collect(5)
	}
	eventually(t, "held", func() bool { return p.value("nodepush_receiver_held", "r") == 1 })
	p.stop()
	gone.Store(false)
	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	eventually(t, "everything arrives", func() bool { return s.samples() == 15 })
	p.stop()
}

// A receiver that rejects a whole request because of one series, as
// Prometheus does, gets all the others.
func TestSenderPoisonedSeries(t *testing.T) {
	poison := func(bad ...string) func(int, *prompb.WriteRequest) int {
		return func(_ int, w *prompb.WriteRequest) int {
			names, _ := contents(w)
			for _, name := range names {
				for _, b := range bad {
					if name == b {
						return 400
					}
				}
			}
			return 204
		}
	}
	tests := []struct {
		name string
		bad  []string
	}{
		{"one", []string{"m37"}}, {"first", []string{"m0"}}, {"last", []string{"m99"}},
		{"several", []string{"m3", "m4", "m50", "m77"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, poison(tt.bad...))
			p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", s.URL))
			for range 5 {
				p.collect(100) // one batch
			}
			p.start()
			good := 5 * (100 - len(tt.bad))
			eventually(t, "all good samples arrive", func() bool { return s.samples() == good })
			eventually(t, "the bad ones are counted", func() bool { return p.dropped("r", "rejected") == 5*len(tt.bad) })
			p.collect(100)
			eventually(t, "what follows arrives at once", func() bool { return s.samples() == good+100-len(tt.bad) })
			if log := p.log.String(); !strings.Contains(log, tt.bad[0]+"{") {
				t.Errorf("log does not name %s:\n%s", tt.bad[0], log)
			}
			p.stop()
		})
	}
}

// When a collection as such is refused there is no series to blame, few
// requests are spent on it, and what follows is not delayed.
func TestSenderRejectedCollection(t *testing.T) {
	bad := int64(0)
	s := newSink(t, func(_ int, w *prompb.WriteRequest) int {
		if _, times := contents(w); len(times) > 0 && times[0] <= atomic.LoadInt64(&bad) {
			return 400
		}
		return 204
	})
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", s.URL))
	for range 10 {
		p.collect(200)
	}
	atomic.StoreInt64(&bad, p.time-6*15_000) // the first five
	p.start()
	eventually(t, "the others arrive", func() bool { return s.samples() == 1000 })
	if got := p.dropped("r", "rejected"); got != 1000 {
		t.Errorf("rejected = %d, want 1000", got)
	}
	if n := s.count(); n > 1+10+searchSurvey {
		t.Errorf("%d requests, want at most %d", n, 1+10+searchSurvey)
	}
	if strings.Contains(p.log.String(), "leaving them out") {
		t.Errorf("series are blamed:\n%s", p.log.String())
	}
	p.stop()
}

func TestSenderTooLarge(t *testing.T) {
	most := 30
	s := newSink(t, func(_ int, w *prompb.WriteRequest) int {
		if samplesOf(w) > most {
			return 413
		}
		return 204
	})
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", s.URL))
	for range 8 {
		p.collect(100)
	}
	p.start()
	eventually(t, "everything arrives", func() bool { return s.samples() == 800 })
	eventually(t, "acknowledged", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
	before := s.count()
	p.collect(100)
	eventually(t, "the next arrives", func() bool { return s.samples() == 900 })
	if n := s.count() - before; n > 6 { // one may be the trial of more
		t.Errorf("%d requests for 100 samples at %d each, want the limit to be remembered", n, most)
	}
	if got := p.dropped("r", "too_large"); got != 0 {
		t.Errorf("%d samples dropped as too large, want none", got)
	}
	p.stop()
}

// A receiver that finds every request too large has a limit that no data can
// meet: it is held as one that is set up wrongly, and nothing is dropped.
func TestSenderTooLargeAlways(t *testing.T) {
	var wrong atomic.Bool
	wrong.Store(true)
	s := newSink(t, func(int, *prompb.WriteRequest) int {
		if wrong.Load() {
			return 413
		}
		return 204
	})
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	p.collect(100)
	eventually(t, "held", func() bool { return p.value("nodepush_receiver_held", "r") == 1 })
	if n := s.count(); n > 8 { // 100, 50, 25, 12, 6, 3, 1
		t.Errorf("%d requests before it is held", n)
	}
	if !strings.Contains(p.log.String(), "too large for the receiver") {
		t.Errorf("the log does not say what is wrong:\n%s", p.log.String())
	}
	p.stop()
	wrong.Store(false)
	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	eventually(t, "everything arrives", func() bool { return s.samples() == 100 })
	p.stop()
}

// What was learnt from answers of 413 is forgotten when more fits again.
func TestSenderTooLargeIsForgotten(t *testing.T) {
	s := newSink(t, func(n int, _ *prompb.WriteRequest) int {
		if n < 9 {
			return 413
		}
		return 204
	})
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", s.URL)).start()
	p.collect(1000)
	eventually(t, "the first is settled", func() bool { return s.samples()+p.dropped("r", "too_large") == 1000 })
	if n := s.count(); n > 9+7*raiseAfter {
		t.Errorf("%d requests for the first 1000 samples, want the limit to rise meanwhile", n)
	}
	for range 60 {
		p.collect(1000)
		eventually(t, "it arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
	}
	before := s.count()
	p.collect(1000)
	eventually(t, "the last arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
	if n := s.count() - before; n != 1 {
		t.Errorf("%d requests for 1000 samples of a healthy receiver, want 1", n)
	}
	p.stop()
}

func samplesOf(w *prompb.WriteRequest) (n int) {
	for _, ts := range w.Timeseries {
		n += len(ts.Samples)
	}
	return n
}

// A receiver that is dead, slow or stuck delays neither another one nor Append.
func TestSenderOthersDoNotWait(t *testing.T) {
	release := make(chan struct{})
	stuck := newSink(t, func(int, *prompb.WriteRequest) int { <-release; return 204 })
	t.Cleanup(func() { close(release) })
	good := newSink(t, nil)
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("stuck", stuck.URL), testReceiver("dead", "http://127.0.0.1:1/"),
		testReceiver("good", good.URL)).start()
	begin := time.Now()
	for range 50 {
		p.collect(10)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("50 appends took %v", d)
	}
	eventually(t, "the good receiver has everything", func() bool { return good.samples() == 500 })
	p.cancel()
	p.done.Wait() // an end of ctx does not wait for the stuck one either
}

func TestSenderSampleAgeLimit(t *testing.T) {
	s := newSink(t, nil)
	r := testReceiver("r", s.URL)
	r.SampleAgeLimit = 30 * time.Second
	p := openPipe(t, t.TempDir(), testClock(), r)
	p.time += 3_540_000
	for range 4 { // 60, 45, 30 and 15 s old
		p.collect(10)
	}
	p.start()
	eventually(t, "the young ones arrive", func() bool { return s.samples() == 10 })
	if got := p.dropped("r", "too_old"); got != 30 {
		t.Errorf("too old = %d, want 30", got)
	}
	p.stop()
}

// The limit holds while a batch is retried, too.
func TestSenderAgesWhileRetrying(t *testing.T) {
	s := newSink(t, func(n int, w *prompb.WriteRequest) int { return 503 })
	r := testReceiver("r", s.URL)
	r.SampleAgeLimit = 61 * time.Second
	p := openPipe(t, t.TempDir(), testClock(), r)
	p.time += 3_540_000
	p.collect(10) // 60 s old
	p.collect(10)
	p.start()
	eventually(t, "the first is dropped", func() bool { return p.dropped("r", "too_old") == 10 })
	s.mu.Lock()
	s.judge = nil
	s.mu.Unlock()
	eventually(t, "the second arrives", func() bool { return s.samples() == 10 })
	p.stop()
}
