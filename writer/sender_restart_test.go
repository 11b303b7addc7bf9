package writer

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"

	"nodepush/writer/wal"
)

// A batch whose answer was never seen is sent again after a kill with the
// same cut, although more was collected by then.
func TestRestartSendsTheSameCut(t *testing.T) {
	var block atomic.Bool
	block.Store(true)
	s := newSink(t, func(int, *prompb.WriteRequest) int {
		for block.Load() {
			time.Sleep(time.Millisecond)
		}
		return 204
	})
	t.Cleanup(func() { block.Store(false) })
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL))
	for range 3 {
		p.collect(20)
	}
	p.start()
	eventually(t, "a request is on its way", func() bool { return s.count() == 1 })
	last := p.time
	for range 4 {
		p.collect(20)
	}
	p.kill()
	block.Store(false)

	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL))
	p.time = last + 4*15_000
	p.collect(20)
	p.start()
	eventually(t, "everything arrives", func() bool { return s.samples() == 160 })
	_, before := s.request(0)
	_, after := s.request(1)
	if !slices.Equal(before, after) || len(after) != 3 {
		t.Errorf("times of the repetition = %v, want those of the first attempt, %v", after, before)
	}
	p.stop()
}

// What is refused when it is sent again was most likely accepted before.
func TestRestartCountsDuplicates(t *testing.T) {
	var refuse atomic.Bool
	s := newSink(t, func(n int, w *prompb.WriteRequest) int {
		if refuse.Load() {
			if _, times := contents(w); times[0] < time.Now().UnixMilli()-1_800_000 {
				return 400
			}
			return 204
		}
		return 0 // the connection breaks
	})
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	p.collect(20)
	eventually(t, "some attempts", func() bool { return s.count() > 2 })
	p.kill()
	refuse.Store(true)
	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	eventually(t, "counted", func() bool { return p.value("nodepush_maybe_duplicate_samples_total", "r") == 20 })
	if got := p.dropped("r", "rejected"); got != 0 {
		t.Errorf("rejected = %d, want 0: nothing is known to be lost", got)
	}
	p.time += 3_000_000
	p.collect(20)
	eventually(t, "the next arrives", func() bool { return s.samples() == 20 })
	p.stop()
}

// After a boot without a clean stop the position may be old: one collection a
// request until something is accepted.
func TestRestartAfterUncleanBoot(t *testing.T) {
	tests := []struct {
		name  string
		clean bool
		boot  byte
		want  int // collections in the first request
	}{
		{"power cut", false, 2, 1}, {"clean stop and boot", true, 2, 6}, {"kill in the same boot", false, 1, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var down atomic.Bool
			s := newSink(t, func(n int, w *prompb.WriteRequest) int {
				if down.Load() {
					return 503
				}
				if names, times := contents(w); n > 0 && len(names) > 0 && len(times) == 1 && times[0]%2 == 1 {
					return 400
				}
				return 204
			})
			dir := t.TempDir()
			p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
			p.time = p.time &^ 1
			p.collect(10)
			eventually(t, "the first arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
			if tt.clean {
				p.stop()
			} else {
				p.kill()
			}
			first := s.count()
			clock := testClock()
			clock.boot[0] = tt.boot
			last := p.time
			p = openPipe(t, dir, clock, testReceiver("r", s.URL))
			p.time = last
			for range 6 {
				p.collect(10)
			}
			p.start()
			eventually(t, "everything arrives", func() bool { return s.samples() == 70 })
			if _, times := s.request(first); len(times) != tt.want {
				t.Errorf("first request holds %d collections, want %d", len(times), tt.want)
			}
			if _, times := s.request(s.count() - 1); tt.want == 1 && len(times) != 5 {
				t.Errorf("after the first success a request holds %d collections, want 5", len(times))
			}
			p.stop()
		})
	}
}

func TestStopIsClean(t *testing.T) {
	s := newSink(t, nil)
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	p.collect(5)
	eventually(t, "it arrives", func() bool { return s.samples() == 5 })
	p.stop()
	log, err := wal.Open(dir, wal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := log.Cursor("r")
	if err != nil {
		t.Fatal(err)
	}
	state := cursor.State()
	log.Close()
	if !state.Clean || state.BootID != testBoot || state.InFlight.To != 0 {
		t.Errorf("state after a clean stop = %+v", state)
	}
	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	time.Sleep(20 * time.Millisecond)
	if s.count() != 1 {
		t.Errorf("%d requests, want no repetition after a clean stop", s.count())
	}
	p.stop()
}

// A drain sends what is pending, but of a backlog only the beginning.
func TestDrain(t *testing.T) {
	s := newSink(t, nil)
	dir := t.TempDir()
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL))
	for range 100 {
		p.collect(1000)
	}
	p.Drain()
	p.start()
	p.stop()
	if n := s.samples(); n != 20_000 {
		t.Errorf("a drain sent %d samples of a backlog, want one batch", n)
	}
	p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	eventually(t, "the rest arrives", func() bool { return s.samples() == 100_000 })
	p.stop()
}

// Whatever answers and accidents there are, in the end the receiver has what
// was appended, each series in the order of time, and nothing twice with
// different values.
func TestEverythingArrives(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	var calm atomic.Bool
	var dice atomic.Uint64
	s := newSink(t, func(_ int, w *prompb.WriteRequest) int {
		if calm.Load() {
			return 204
		}
		switch dice.Add(0x9e3779b97f4a7c15) >> 61 {
		case 0:
			return 503
		case 1:
			return 0
		case 2:
			if samplesOf(w) > 100 {
				return 413
			}
		case 3:
			return 429
		}
		return 204
	})
	dice.Store(seed)
	dir := t.TempDir()
	want, start := 0, time.Now().UnixMilli()-3_600_000
	for round := range 8 {
		p := openPipe(t, dir, testClock(), testReceiver("r", s.URL))
		p.time = start
		p.start()
		for range random.IntN(20) {
			n := 1 + random.IntN(60)
			p.collect(n)
			want += n
			if random.IntN(4) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		start = p.time
		if round%2 == 0 {
			p.kill()
		} else {
			p.stop()
		}
	}
	calm.Store(true)
	p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
	eventually(t, "everything arrives", func() bool { return s.samples() == want })
	p.stop()
	s.inOrder(t)
}

// inOrder holds that the samples of a series came in the order of time, but
// for repetitions.
func (s *sink) inOrder(t *testing.T) {
	t.Helper()
	newest := make(map[string]int64)
	accepted := make(map[string]map[int64]bool)
	for _, w := range s.requests {
		for _, ts := range w.Timeseries {
			name := seriesName(ts.Labels)
			if accepted[name] == nil {
				accepted[name] = make(map[int64]bool)
			}
			for _, sample := range ts.Samples {
				if sample.Timestamp < newest[name] && !accepted[name][sample.Timestamp] {
					t.Errorf("%s: %d came after %d", name, sample.Timestamp, newest[name])
				}
				accepted[name][sample.Timestamp] = true
				newest[name] = max(newest[name], sample.Timestamp)
			}
		}
	}
}
