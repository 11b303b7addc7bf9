package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nodepush/metric"
)

// A collector of each kind that goes wrong, beside one that does not: each
// costs its own samples only, and says so in the same round.
func TestRoundsWithBadCollectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hangs := 0
		r := newRig(t,
			&fake{"good", fine},
			&fake{"slow", func(context.Context, *metric.Buffer) error { time.Sleep(3 * time.Second); return nil }},
			&fake{"partial", func(context.Context, *metric.Buffer) error { return errors.New("half of it") }},
			&fake{"panics", func(context.Context, *metric.Buffer) error { panic("what now") }},
			&fake{"hangs", func(context.Context, *metric.Buffer) error { hangs++; <-release; return nil }},
		)
		r.live(t, 65*time.Second)
		close(release)
		synctest.Wait()

		rounds := r.pipe.of("node")
		if len(rounds) != 6 && len(rounds) != 7 {
			t.Fatalf("%d rounds in 65 s", len(rounds))
		}
		for i, round := range rounds {
			want := map[string]float64{
				"fake_value{good}": 1, "fake_value{slow}": 1, "fake_value{partial}": 1, "fake_value{pipe}": 42, "up": 1,
				"node_scrape_collector_success{good}": 1, "node_scrape_collector_success{slow}": 1,
				"node_scrape_collector_success{partial}": 0, "node_scrape_collector_success{panics}": 0,
				"node_scrape_collector_success{hangs}":         0,
				"node_scrape_collector_duration_seconds{slow}": 3, "node_scrape_collector_duration_seconds{good}": 0,
				"node_scrape_collector_duration_seconds{hangs}": 9 + 10*float64(i),
				"nodepush_rounds_total{node}":                   float64(i + 1), "nodepush_rounds_skipped_total{node}": 0,
				"nodepush_collector_late_total{hangs}":       float64(i + 1),
				"nodepush_collector_panics_total{panics}":    float64(i + 1),
				"nodepush_collector_failures_total{partial}": float64(i + 1),
			}
			for series, value := range want {
				if got, ok := round.has(series); !ok || got != value {
					t.Errorf("round %d: %s = %v, %v; want %v", i, series, got, ok, value)
				}
			}
			for _, series := range []string{"fake_value{panics}", "fake_value{hangs}", "nodepush_collector_late_total{good}"} {
				if _, ok := round.has(series); ok {
					t.Errorf("round %d has %s", i, series)
				}
			}
		}
		if hangs != 1 {
			t.Errorf("the hanging collector was started %d times", hangs)
		}
		if n := r.journal.lines("stack="); n != 1 {
			t.Errorf("%d stacks in the log, want 1:\n%s", n, r.journal)
		}
		for _, text := range []string{"half of it", "panic: what now", "not finished within 9s", "collectors hang and are left behind"} {
			if n := r.journal.lines(text); n != 1 {
				t.Errorf("%q is in the log %d times, want once:\n%s", text, n, r.journal)
			}
		}
	})
}

// A collector that is back after its deadline takes part again; its late
// samples are in no round.
func TestLateCollectorComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRig(t, &fake{"late", func(_ context.Context, dst *metric.Buffer) error {
			if calls++; calls == 1 {
				time.Sleep(25 * time.Second)
				dst.Add(fakeDesc, 1, "too late")
			}
			return nil
		}})
		r.live(t, 61*time.Second)
		for i, round := range r.pipe.of("node") {
			_, there := round.has("fake_value{late}")
			success, _ := round.has("node_scrape_collector_success{late}")
			_, tooLate := round.has("fake_value{too late}")
			if want := i > 2; there != want || success == 1 != want || tooLate {
				t.Errorf("round %d: there %v, success %v, late samples %v", i, there, success, tooLate)
			}
		}
		if n := r.counts.collector("late").late.Load(); n != 3 {
			t.Errorf("late in %d rounds, want 3", n)
		}
		if r.journal.lines("works again") != 1 {
			t.Errorf("log:\n%s", r.journal)
		}
	})
}

// Collectors that ignore the deadline do not delay the next round.
func TestDeadlineLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"slow", func(ctx context.Context, _ *metric.Buffer) error { <-ctx.Done(); return ctx.Err() }})
		r.config.Timeout = time.Minute
		r.live(t, 65*time.Second)
		rounds := r.pipe.of("node")
		for i, round := range rounds {
			if i > 0 && round.time-rounds[i-1].time != 10_000 {
				t.Errorf("round %d came %d ms after the last", i, round.time-rounds[i-1].time)
			}
			if round.next <= 0 || round.next > room(10*time.Second) {
				t.Errorf("round %d: next in %v", i, round.next)
			}
		}
	})
}

// Rounds start at the host's own place in the interval, on the wall clock.
func TestAlignmentAndSplay(t *testing.T) {
	places := make(map[int64]bool)
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.config.Instance = fmt.Sprint("host-", i)
			time.Sleep(time.Duration(i) * 777 * time.Millisecond) // whenever it starts
			r.live(t, 35*time.Second)
			rounds := r.pipe.of("node")
			place := int64(r.host.splay(r.config.Instance, 10*time.Second) / time.Millisecond)
			for n, round := range rounds {
				if round.time%10_000 != place {
					t.Errorf("host %d, round %d is %d ms into the interval, want %d", i, n, round.time%10_000, place)
				}
			}
			if len(rounds) < 3 || len(rounds) > 4 {
				t.Errorf("%d rounds in 35 s", len(rounds))
			}
			places[place/1000] = true
		})
	}
	if len(places) < 5 {
		t.Errorf("20 hosts have their rounds in %d of 10 seconds", len(places))
	}
}

// Collectors that share an interval are a source; the agent's own metrics come
// with the default one, and each source tells when any is due next.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"often", fine}, &fake{"seldom", fine}, &fake{"too", fine})
		r.config.Collectors[1].Interval = 60 * time.Second
		r.config.Collectors[2].Interval = 60 * time.Second
		r.live(t, 10*time.Minute)
		often, seldom := r.pipe.of("node"), r.pipe.of("node/60s")
		if len(often) < 59 || len(often) > 60 || len(seldom) < 9 || len(seldom) > 10 {
			t.Fatalf("%d and %d rounds in 10 minutes", len(often), len(seldom))
		}
		for _, c := range []struct {
			round  round
			series string
			want   bool
		}{
			{often[0], "up", true}, {often[0], "fake_value{often}", true}, {often[0], "fake_value{seldom}", false},
			{often[0], "node_scrape_collector_success{seldom}", false}, {often[1], "nodepush_rounds_total{node/60s}", true},
			{seldom[0], "up", false}, {seldom[0], "fake_value{seldom}", true}, {seldom[0], "fake_value{too}", true},
			{seldom[0], "node_scrape_collector_success{seldom}", true}, {seldom[0], "nodepush_rounds_total{node}", false},
		} {
			if _, ok := c.round.has(c.series); ok != c.want {
				t.Errorf("%s has %s: %v", c.round.source, c.series, ok)
			}
		}
		for i, round := range append(often[1:], seldom...) {
			if round.next < 0 || round.next > 10*time.Second {
				t.Errorf("round %d of %s: next in %v", i, round.source, round.next)
			}
		}
	})
}

// Steps of the wall clock neither stop rounds nor bunch them.
func TestClockSteps(t *testing.T) {
	for _, step := range []time.Duration{3 * time.Second, -3 * time.Second, 56 * 365 * 24 * time.Hour, -25 * time.Hour, 7 * time.Millisecond} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				time.AfterFunc(44*time.Second, func() { r.step.Store(int64(step)) })
				r.live(t, 2*time.Minute)
				rounds := r.pipe.of("node")
				for i := 1; i < len(rounds); i++ {
					if gap := rounds[i].at - rounds[i-1].at; gap < 5*time.Second || gap > 15*time.Second {
						t.Errorf("%v between rounds %d and %d", gap, i-1, i)
					}
				}
				last := rounds[len(rounds)-1]
				if place := int64(r.host.splay("rig", 10*time.Second) / time.Millisecond); last.time%10_000 != place {
					t.Errorf("the last round is %d ms into the interval, want %d", last.time%10_000, place)
				}
				if n, _ := last.has("nodepush_rounds_skipped_total{node}"); n != 0 {
					t.Errorf("%v rounds counted as skipped", n)
				}
				if gap := last.mono - rounds[0].mono; gap != (last.at - rounds[0].at).Milliseconds() {
					t.Errorf("monotonic time ran %d ms in %v", gap, last.at-rounds[0].at)
				}
			})
		})
	}
}

// Rounds missed in a suspension are counted and not made up.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		time.AfterFunc(44*time.Second, func() { r.step.Store(int64(time.Hour)); r.sleep.Store(int64(time.Hour)) }) // timers stand still, both clocks ran on
		r.live(t, 2*time.Minute)
		rounds := r.pipe.of("node")
		if len(rounds) < 11 || len(rounds) > 13 {
			t.Errorf("%d rounds while awake for 120 s", len(rounds))
		}
		if n, _ := rounds[len(rounds)-1].has("nodepush_rounds_skipped_total{node}"); n != 360 {
			t.Errorf("%v rounds skipped in an hour, want 360", n)
		}
	})
}

// A log that takes long, or a process that was stopped: what was due
// meanwhile is not made up.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		open := r.open
		r.open = func(c writerConfig, l logger) (pipe, error) {
			p, err := open(c, l)
			n := 0
			r.pipe.fail = func() error {
				if n++; n == 3 {
					time.Sleep(47 * time.Second)
				}
				return nil
			}
			return p, err
		}
		r.live(t, 2*time.Minute)
		rounds := r.pipe.of("node")
		for i := 1; i < len(rounds); i++ {
			if gap := rounds[i].at - rounds[i-1].at; gap < 5*time.Second {
				t.Errorf("%v between rounds %d and %d", gap, i-1, i)
			}
		}
		skipped, _ := rounds[len(rounds)-1].has("nodepush_rounds_skipped_total{node}")
		if all := len(rounds) + int(skipped); all < 11 || all > 12 {
			t.Errorf("%d rounds and %v skipped in 120 s", len(rounds), skipped)
		}
	})
}

// Errors of the log are counted, told, and stop nothing.
func TestAppendErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		open := r.open
		r.open = func(c writerConfig, l logger) (pipe, error) {
			p, err := open(c, l)
			r.pipe.fail = func() error { return errors.New("no space left on device") }
			return p, err
		}
		r.live(t, 20*time.Minute)
		rounds := r.pipe.of("node")
		if n, _ := rounds[len(rounds)-1].has("nodepush_append_failures_total{node}"); int(n) != len(rounds)-1 {
			t.Errorf("%v failures counted in %d rounds", n, len(rounds))
		}
		if n := r.journal.lines("no space left"); n < 3 || n > 5 {
			t.Errorf("%d lines in 20 minutes:\n%s", n, r.journal)
		}
	})
}

// The journal of a collector that fails for an hour, in several ways, and
// flaps, stays short and keeps what is new.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newRig(t)
		r := trouble{what: "collector", log: j.log}
		for i := range 360 {
			switch {
			case i%50 == 7:
				r.worked()
			case i == 100:
				r.failed(time.Now(), errors.New("something new"))
			default:
				r.failed(time.Now(), fmt.Errorf("error %d", i)) // always another text
			}
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(j.journal.String(), "\n"); n > 8+12+8 {
			t.Errorf("%d lines in an hour:\n%s", n, j.journal)
		}
		r.worked()
		r.worked()
		last := j.journal.String()[strings.LastIndex(strings.TrimSuffix(j.journal.String(), "\n"), "\n")+1:]
		if !strings.Contains(last, "works again") || j.journal.lines("works again") > 8 {
			t.Errorf("log:\n%s", j.journal)
		}
	})
}

// A round allocates nothing of its own for healthy collectors.
func TestRoundAllocations(t *testing.T) {
	r := newRig(t, &fake{"a", fine}, &fake{"b", fine})
	all, err := r.sources(r.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	for _, w := range s.workers {
		go w.run(s.done)
		defer close(w.tasks)
	}
	s.collect(t.Context())
	// The context and its timer, and what the fakes' label values take.
	if n := testing.AllocsPerRun(100, func() { s.collect(t.Context()) }); n > 12 {
		t.Errorf("a round makes %v allocations", n)
	}
}

func BenchmarkRound(b *testing.B) {
	r := newRig(b, &fake{"a", fine}, &fake{"b", fine})
	all, err := r.sources(r.config, newSelf(readBuild(), r.counts, nil, r.log))
	if err != nil {
		b.Fatal(err)
	}
	s := all[0]
	for _, w := range s.workers {
		go w.run(s.done)
		defer close(w.tasks)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.collect(b.Context())
	}
}
