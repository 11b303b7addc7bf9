package agent

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
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

// What is finished when the deadline ends counts.
func TestFinishedBeatsDeadline(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		w := &worker{busy: true}
		s := &source{workers: []*worker{w}, done: make(chan outcome, 1), round: 7}
		s.done <- outcome{worker: w, round: 7}
		s.await(ended)
		if !w.current || w.busy {
			t.Fatal("a finished outcome was not taken")
		}
	}
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

// Everything the agent says of itself is described, once.
func TestSelfIsDescribed(t *testing.T) {
	r := newRig(t)
	c := r.counts.collector("a")
	for _, n := range []*atomic.Uint64{&c.late, &c.failures, &c.panics} {
		n.Add(1)
	}
	r.counts.source("node")
	s := newSelf(readBuild(), r.counts, nil, r.log)
	unseen := make(map[*metric.Desc]bool)
	for _, d := range s.Descs() {
		if unseen[d] || d.Help == "" || d.Name == "" {
			t.Errorf("description %+v", d)
		}
		unseen[d] = true
	}
	delete(unseen, scrapeSuccess) // these two come from the source
	delete(unseen, scrapeDuration)
	for _, sample := range s.samples(time.Now()) {
		if !slices.Contains(s.Descs(), sample.Desc) {
			t.Errorf("%s is not described", sample.Desc.Name)
		}
		delete(unseen, sample.Desc)
	}
	for d := range unseen {
		t.Errorf("%s is described and not there", d.Name)
	}
}
