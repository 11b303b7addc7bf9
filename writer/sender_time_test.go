package writer

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/prompb"
)

// pipeListener hands connections from dial to Accept in memory, so that
// nothing in a synctest bubble waits for the network.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs f with a pipe to one sink of 1.0, all of it in a synctest bubble.
func inBubble(t *testing.T, dir string, r Receiver, judge func(n int, w *prompb.WriteRequest) int, f func(p *pipe, s *sink)) {
	r.Message = Message1
	inBubbleAs(t, dir, r, judge, f)
}

// inBubbleAs is inBubble with the receiver's own choice of the message.
func inBubbleAs(t *testing.T, dir string, r Receiver, judge func(n int, w *prompb.WriteRequest) int, f func(p *pipe, s *sink)) {
	inBubbleAt(t, dir, testClock(), r, judge, f)
}

// inBubbleAt is inBubbleAs with a clock.
func inBubbleAt(t *testing.T, dir string, clock clock, r Receiver, judge func(n int, w *prompb.WriteRequest) int, f func(p *pipe, s *sink)) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{t: t, stored: make(map[string]map[int64]float64), judge: judge}
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: s}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(l) })
		r.Name, r.URL = "r", "http://receiver.example/"
		p := openPipe(t, dir, clock, r)
		p.senders[0].client.dial = l.dial
		p.time = time.Now().UnixMilli()
		p.start()
		f(p, s)
		p.stop()
		server.Close()
		serving.Wait()
	})
}

// judgeBy answers 503 while the receiver is down.
func judgeBy(down *bool) func(int, *prompb.WriteRequest) int {
	return func(int, *prompb.WriteRequest) int {
		if *down {
			return 503
		}
		return 204
	}
}

// arrivals waits for a duration and returns how many requests came meanwhile.
func (s *sink) arrivals(d time.Duration) int {
	before := s.count()
	time.Sleep(d)
	synctest.Wait()
	return s.count() - before
}

// appendNow appends a collection with the time it has, and says when the next is due.
func (p *pipe) appendNow(n int, next time.Duration) {
	p.t.Helper()
	p.time = time.Now().UnixMilli()
	due := time.Now().Add(next)
	c := p.collection(n)
	if err := p.Append(c, due); err != nil {
		p.t.Errorf("Append: %v", err)
	}
	synctest.Wait()
}

func TestBatchDeadline(t *testing.T) {
	r := Receiver{BatchSendDeadline: 5 * time.Second}
	t.Run("nothing else is due: at once", func(t *testing.T) {
		inBubble(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
			p.appendNow(10, 15*time.Second)
			if n := s.arrivals(0); s.count() != 1 {
				t.Errorf("%d requests at once, want 1 (%d)", s.count(), n)
			}
		})
	})
	t.Run("another source is due soon: together", func(t *testing.T) {
		inBubble(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
			p.appendNow(10, time.Second)
			if s.count() != 0 {
				t.Error("sent before the collection that is due")
			}
			time.Sleep(time.Second)
			p.appendNow(10, 14*time.Second)
			if s.count() != 1 || s.samples() != 20 {
				t.Errorf("%d requests with %d samples, want one with 20", s.count(), s.samples())
			}
		})
	})
	t.Run("what is due does not come: at the deadline", func(t *testing.T) {
		inBubble(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
			p.appendNow(10, time.Second)
			if n := s.arrivals(4900 * time.Millisecond); n != 0 {
				t.Errorf("%d requests before the deadline", n)
			}
			if n := s.arrivals(200 * time.Millisecond); n != 1 {
				t.Errorf("%d requests at the deadline, want 1", n)
			}
		})
	})
	t.Run("full before the deadline", func(t *testing.T) {
		full := r
		full.MaxSamplesPerSend = 25
		inBubble(t, t.TempDir(), full, nil, func(p *pipe, s *sink) {
			for range 3 {
				p.appendNow(10, 100*time.Millisecond)
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			if s.count() != 1 || s.samples() != 20 {
				t.Errorf("%d requests with %d samples, want one with 20", s.count(), s.samples())
			}
		})
	})
	t.Run("a drain does not wait", func(t *testing.T) {
		inBubble(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
			p.appendNow(10, time.Second)
			p.Drain()
			synctest.Wait()
			if s.count() != 1 {
				t.Errorf("%d requests after the drain, want 1", s.count())
			}
		})
	})
}

func TestSenderProbesWhenHeld(t *testing.T) {
	var status atomic.Int32
	status.Store(401)
	inBubble(t, t.TempDir(), Receiver{}, func(int, *prompb.WriteRequest) int { return int(status.Load()) }, func(p *pipe, s *sink) {
		p.appendNow(10, time.Hour)
		if n := s.arrivals(50 * time.Second); s.count() != 1 {
			t.Errorf("%d requests within 50 s, want 1 (%d)", s.count(), n)
		}
		for i, want := range []int{1, 1, 1, 1} { // after 1, 3, 7, 15 minutes
			if n := s.arrivals(time.Duration(1<<i) * time.Minute * 12 / 10); n != want {
				t.Errorf("period %d: %d probes, want %d", i, n, want)
			}
		}
		if n := s.arrivals(10 * time.Hour); n < 35 || n > 45 {
			t.Errorf("%d probes in ten hours, want about 40", n)
		}
		status.Store(204)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if s.samples() != 10 || p.value("nodepush_receiver_held", "r") != 0 {
			t.Errorf("after the receiver returned: %d samples, held %v", s.samples(), p.value("nodepush_receiver_held", "r"))
		}
	})
}

func TestSenderLogsAnOutageBriefly(t *testing.T) {
	var status atomic.Int32
	status.Store(503)
	inBubble(t, t.TempDir(), Receiver{}, func(int, *prompb.WriteRequest) int { return int(status.Load()) }, func(p *pipe, s *sink) {
		for range 80 { // 20 minutes
			p.appendNow(10, 15*time.Second)
			time.Sleep(15 * time.Second)
		}
		if n := strings.Count(p.log.String(), "cannot deliver"); n < 10 || n > 21 {
			t.Errorf("%d lines in 20 minutes of failure, want one a minute at most", n)
		}
		status.Store(204)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.samples() != 800 {
			t.Errorf("%d samples arrived, want 800", s.samples())
		}
		if log := p.log.String(); strings.Count(log, "delivered again") != 1 || !strings.Contains(log, "frames_waiting=") || !strings.Contains(log, "after=20m") {
			t.Errorf("log has no word on the recovery:\n%s", log)
		}
	})
}

func TestSenderHonoursRetryAfter(t *testing.T) {
	inBubble(t, t.TempDir(), Receiver{}, func(n int, _ *prompb.WriteRequest) int {
		if n == 0 {
			return 429
		}
		return 204
	}, func(p *pipe, s *sink) {
		s.retryAfter = "70"
		p.appendNow(10, time.Hour)
		if n := s.arrivals(69 * time.Second); n != 0 {
			t.Errorf("%d repetitions before 70 s", n)
		}
		if n := s.arrivals(2 * time.Second); n != 1 {
			t.Errorf("%d repetitions after 70 s, want 1", n)
		}
	})
}

// A drain ends the wait of a receiver that fails; its range stays.
func TestSenderDrainWhileFailing(t *testing.T) {
	inBubble(t, t.TempDir(), Receiver{}, func(int, *prompb.WriteRequest) int { return 503 }, func(p *pipe, s *sink) {
		p.appendNow(10, time.Hour)
		time.Sleep(10 * time.Minute)
		begin := time.Now()
		p.Drain()
		p.receivers.Wait()
		if d := time.Since(begin); d > 0 {
			t.Errorf("the receiver's task took %v to return", d)
		}
		if got := p.senders[0].cursor.State(); got.InFlight.From == got.InFlight.To {
			t.Error("the cursor has no range in flight")
		}
	})
}

// After a long outage the backlog starts a random moment after the first
// success, so that a fleet does not start as one.
func TestSenderSpreadsTheStart(t *testing.T) {
	var status atomic.Int32
	status.Store(503)
	r := Receiver{MaxSamplesPerSend: 10}
	inBubble(t, t.TempDir(), r, func(int, *prompb.WriteRequest) int { return int(status.Load()) }, func(p *pipe, s *sink) {
		p.senders[0].backoff.random = func() float64 { return 0.5 }
		for range 3 {
			p.appendNow(10, time.Hour)
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		status.Store(204)
		for s.samples() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.samples(); n != 10 {
			t.Errorf("%d samples at once, want one batch of 10", n)
		}
		if n := s.arrivals(4 * time.Second); n != 0 {
			t.Errorf("%d requests in the 4 s after the first success, want a rest of 5 s", n)
		}
		if s.arrivals(2 * time.Second); s.samples() != 30 {
			t.Errorf("%d samples 6 s after the first success, want all 30", s.samples())
		}
	})
}

// Nothing leaves from the future.
func TestSenderWaitsForTheTime(t *testing.T) {
	inBubble(t, t.TempDir(), Receiver{}, nil, func(p *pipe, s *sink) {
		p.time = time.Now().Add(5 * time.Minute).UnixMilli()
		p.collect(10)
		if n := s.arrivals(4*time.Minute + 58*time.Second); n != 0 {
			t.Errorf("%d requests before the time of the collection", n)
		}
		if n := s.arrivals(2 * time.Second); n != 1 {
			t.Errorf("%d requests when its time had come, want 1", n)
		}
	})
}

func TestSenderCorrectsOrDropsTheFarFuture(t *testing.T) {
	inBubble(t, t.TempDir(), Receiver{}, nil, func(p *pipe, s *sink) {
		now := time.Now().UnixMilli()
		c := p.collection(10)
		c.Time, c.Mono = now+86_400_000, p.senders[0].clock.mono()-30_000
		p.Append(c, time.Time{})
		synctest.Wait()
		if _, times := s.request(0); len(times) != 1 || times[0] != now-30_000 {
			t.Errorf("times = %v, want that of 30 s ago, %d", times, now-30_000)
		}
		c = p.collection(7)
		c.Source, c.Time = p.anotherBoot(), now+86_400_000
		p.Append(c, time.Time{})
		synctest.Wait()
		if got := p.dropped("r", "future"); got != 7 || s.count() != 1 {
			t.Errorf("future = %d after %d requests, want 7 and 1", got, s.count())
		}
	})
}

// The clock is stepped back while a request fails: its samples are not sent
// from the future either.
func TestSenderCorrectsWhatFailed(t *testing.T) {
	for _, step := range []time.Duration{5 * time.Minute, time.Hour} {
		var ahead atomic.Int64 // of the clock
		ahead.Store(int64(step))
		clock := testClock()
		clock.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		down := true
		inBubbleAt(t, t.TempDir(), clock, Receiver{MaxBackoff: time.Second, Message: Message1}, judgeBy(&down), func(p *pipe, s *sink) {
			begin := time.Now()
			c := p.collection(10)
			c.Time, c.Mono = clock.now().UnixMilli(), clock.mono()
			p.Append(c, time.Time{})
			if n := s.arrivals(10 * time.Second); n < 5 {
				t.Errorf("%d attempts while the receiver is down", n)
			}
			ahead.Store(0)
			s.arrivals(2 * time.Second)
			failed := s.count()
			down = false
			s.arrivals(10 * time.Minute)
			if s.samples() != 10 {
				t.Fatalf("%d samples arrived, want 10", s.samples())
			}
			_, times := s.request(s.count() - 1)
			want := begin.UnixMilli()
			if step < mayWait {
				want = c.Time // waited for
			}
			if len(times) != 1 || times[0] != want {
				t.Errorf("step of %v: times %v, want %d", step, times, want)
			}
			for i := failed; i < s.count(); i++ {
				if _, times := s.request(i); times[0] > time.Now().UnixMilli() {
					t.Errorf("a request of the future")
				}
			}
		})
	}
}
