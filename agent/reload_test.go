package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nodepush/metric"
	"nodepush/writer"
)

// A reload starts anew with the new configuration in the same process: the
// counts go on, the labels change, and no round is made twice.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"a", fine}, &fake{"b", fine})
		var sources []*metric.Source
		open := r.open
		r.open = func(c writer.Config, l *slog.Logger) (pipe, error) {
			p, err := open(c, l)
			return recordSource{p, &sources}, err
		}
		changed := *r.config
		changed.Collectors = changed.Collectors[:1]
		changed.Instance = "renamed"
		r.load = func() (*Config, []Warning, error) { return &changed, []Warning{{Text: "never mind"}}, nil }
		if err := r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGHUP, 2 * time.Minute: syscall.SIGTERM})); err != nil {
			t.Fatal(err)
		}
		if len(r.pipes) != 2 || !strings.HasSuffix(strings.Join(r.pipes[0].events, " "), "drain drained close") {
			t.Fatalf("%d lives; events of the first: %v", len(r.pipes), r.pipes[0].events)
		}
		before, after := r.pipes[0].rounds, r.pipes[1].rounds
		if _, ok := after[0].has("fake_value{b}"); ok {
			t.Error("a collector that is off is still there")
		}
		if n, _ := after[0].has("nodepush_rounds_total{node}"); int(n) != len(before)+1 {
			t.Errorf("the first round after the reload is number %v; %d before", n, len(before))
		}
		if ok, _ := after[0].has("nodepush_config_last_reload_successful"); ok != 1 {
			t.Error("the reload does not show as successful")
		}
		if at, _ := after[0].has("nodepush_config_last_reload_success_timestamp_seconds"); at == 0 {
			t.Error("the reload has no time")
		}
		if a, b := label(sources[0], "instance"), label(sources[1], "instance"); a != "rig" || b != "renamed" {
			t.Errorf("instance was %q, is %q", a, b)
		}
		if r.journal.lines("never mind") != 1 {
			t.Errorf("log:\n%s", r.journal)
		}
	})
}

// A configuration that is broken, or that cannot be opened, leaves the old one
// running, and everything about it is in the log.
func TestReloadOfBrokenConfiguration(t *testing.T) {
	broken := errors.Join(Problem{File: "f.yaml", Line: 3, Key: "global", Text: "wrong"}, Problem{File: "f.yaml", Line: 9, Key: "wal", Text: "bad"})
	for _, c := range []struct {
		name  string
		load  error
		open  error
		lives int
		texts []string
	}{
		{"broken", broken, nil, 1, []string{"f.yaml:3: global: wrong", "f.yaml:9: wal: bad", "old one goes on"}},
		{"locked", nil, errors.New("log is locked"), 2, []string{"log is locked", "old one goes on"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				other := *r.config
				r.load = func() (*Config, []Warning, error) { return &other, nil, c.load }
				open, opened := r.open, 0
				r.open = func(w writer.Config, l *slog.Logger) (pipe, error) {
					if opened++; opened == 2 && c.open != nil {
						return nil, c.open
					}
					return open(w, l)
				}
				if err := r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGHUP, 2 * time.Minute: syscall.SIGTERM})); err != nil {
					t.Fatal(err)
				}
				if len(r.pipes) != c.lives {
					t.Errorf("%d lives, want %d", len(r.pipes), c.lives)
				}
				last := r.pipe.rounds[len(r.pipe.rounds)-1]
				if ok, there := last.has("nodepush_config_last_reload_successful"); ok != 0 || !there {
					t.Error("the reload shows as successful")
				}
				if n, _ := last.has("nodepush_rounds_total{node}"); n < 11 {
					t.Errorf("%v rounds in 2 minutes", n)
				}
				for _, text := range c.texts {
					if r.journal.lines(text) != 1 {
						t.Errorf("%q is not in the log once:\n%s", text, r.journal)
					}
				}
			})
		})
	}
}

// A receiver that hangs costs a reload a moment, not the shutdown timeout: the
// rounds go on, and the one that the reload missed, if any, is counted.
func TestReloadBesideHungReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"a", fine})
		r.config.Interval, r.config.Timeout = time.Second, 900*time.Millisecond
		r.config.Collectors[0].Interval = time.Second
		open := r.open
		r.open = func(c writer.Config, l *slog.Logger) (pipe, error) {
			p, err := open(c, l)
			r.pipe.task = func(ctx context.Context) error { <-ctx.Done(); return nil }
			return p, err
		}
		if err := r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGHUP, 2 * time.Minute: syscall.SIGTERM})); err != nil {
			t.Fatal(err)
		}
		before, after := r.pipes[0].rounds, r.pipes[1].rounds
		gap := after[0].at - before[len(before)-1].at
		if gap > 3*time.Second {
			t.Errorf("%v without a round", gap)
		}
		skipped, _ := after[len(after)-1].has("nodepush_rounds_skipped_total{node}")
		if missed := gap/time.Second - 1; time.Duration(skipped) != missed {
			t.Errorf("%v rounds skipped, want %v", skipped, missed)
		}
	})
}

// What is only in memory would not survive the end of a life, so that there is
// no reload until the disk takes it.
func TestReloadWhileDiskRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		open := r.open
		r.open = func(c writer.Config, l *slog.Logger) (pipe, error) {
			p, err := open(c, l)
			r.pipe.memory = 4096
			return p, err
		}
		if err := r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGHUP, 2 * time.Minute: syscall.SIGTERM})); err != nil {
			t.Fatal(err)
		}
		if len(r.pipes) != 1 || r.journal.lines("not reloaded: the disk refuses") != 1 {
			t.Errorf("%d lives; log:\n%s", len(r.pipes), r.journal)
		}
	})
}

// SIGTERM while a reload stops the old life ends the service.
func TestStopDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"slow", func(ctx context.Context, _ *metric.Buffer) error { <-ctx.Done(); return nil }})
		start := time.Now()
		if err := r.run(r.config, script(t, map[time.Duration]os.Signal{61 * time.Second: syscall.SIGHUP, 61500 * time.Millisecond: syscall.SIGTERM})); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); len(r.pipes) != 1 || took > 75*time.Second {
			t.Errorf("%d lives in %v", len(r.pipes), took)
		}
	})
}

// recordSource notes each source the first time it appends.
type recordSource struct {
	pipe
	seen *[]*metric.Source
}

func (p recordSource) Append(c *metric.Collection, next time.Time) error {
	if !slices.Contains(*p.seen, c.Source) {
		*p.seen = append(*p.seen, c.Source)
	}
	return p.pipe.Append(c, next)
}
