package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A round that starts late is no skipped one; a whole interval without is.
func TestSkipped(t *testing.T) {
	for _, c := range []struct{ gap, want int }{{500, 0}, {1000, 0}, {1499, 0}, {1700, 0}, {2000, 1}, {2400, 1}, {3000, 2}, {3_600_000, 3599}} {
		var now time.Duration
		p := pace{interval: time.Second, clock: clock{boot: func() time.Duration { return now }}}
		if n := p.start(); n != 0 {
			t.Errorf("%d skipped before the first round", n)
		}
		now = time.Duration(c.gap) * time.Millisecond
		if got := p.start(); got != c.want {
			t.Errorf("%d skipped in %v, want %d", got, now, c.want)
		}
	}
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

// Steps of the wall clock neither stop rounds nor bunch them.
func TestClockSteps(t *testing.T) {
	for _, step := range []time.Duration{3 * time.Second, -3 * time.Second, 5100 * time.Millisecond, -4900 * time.Millisecond, 56 * 365 * 24 * time.Hour, -25 * time.Hour, 7 * time.Millisecond} {
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
