package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nodepush/collector"
	"nodepush/metric"
	"nodepush/writer"
)

// script sends signals at moments after the start.
func script(t *testing.T, steps map[time.Duration]os.Signal) <-chan os.Signal {
	signals := make(chan os.Signal, len(steps))
	for at, s := range steps {
		timer := time.AfterFunc(at, func() { signals <- s })
		t.Cleanup(func() { timer.Stop() })
	}
	return signals
}

// Every goroutine of a life has returned when run has: synctest fails a test
// that leaves one behind.
func TestStopInOrder(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, &fake{"slow", func(context.Context, *metric.Buffer) error { time.Sleep(4 * time.Second); return nil }})
			splay := r.host.splay("rig", 10*time.Second)
			start := time.Now()
			// A second after the start of a round.
			at := 20*time.Second + splay + time.Second - time.Duration(start.UnixNano())%(10*time.Second)
			if err := r.run(r.config, script(t, map[time.Duration]os.Signal{at: s})); err != nil {
				t.Error(err)
			}
			if took := time.Since(start) - at; took != 3*time.Second {
				t.Errorf("stopping took %v, want what was left of the round, 3s", took)
			}
			events := strings.Join(r.pipe.events, " ")
			if !strings.HasSuffix(events, "append drain drained close") {
				t.Errorf("events: %s", events)
			}
			last := r.pipe.rounds[len(r.pipe.rounds)-1]
			if _, ok := last.has("fake_value{slow}"); !ok {
				t.Error("the round that was under way lost its samples")
			}
		})
	}
}

// A sender that does not come to an end is cancelled at the timeout, one that
// does not even obey that is left behind; both end the process with success.
func TestStopAtTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		obeys   bool
		took    time.Duration
		text    string
		closing bool
	}{
		{"obeys", true, 10 * time.Second, "shutdown timeout is over", true},
		{"hangs", false, 12 * time.Second, "left behind", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				release := make(chan struct{})
				open := r.open
				r.open = func(c1 writer.Config, l *slog.Logger) (pipe, error) {
					p, err := open(c1, l)
					r.pipe.task = func(ctx context.Context) error {
						if c.obeys {
							<-ctx.Done()
							return ctx.Err()
						}
						<-release
						return nil
					}
					return p, err
				}
				start := time.Now()
				if err := r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGTERM})); err != nil {
					t.Error(err)
				}
				if took := time.Since(start) - time.Minute; took != c.took {
					t.Errorf("stopping took %v, want %v", took, c.took)
				}
				if r.journal.lines(c.text) == 0 {
					t.Errorf("log:\n%s", r.journal)
				}
				if closed := slices.Contains(r.pipe.events, "close"); closed != c.closing {
					t.Errorf("closed: %v", closed)
				}
				close(release)
			})
		})
	}
}

// A round whose collectors hang does not outlive the shutdown timeout.
func TestStopWithHangingCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, &fake{"hangs", func(context.Context, *metric.Buffer) error { <-release; return nil }})
		r.config.ShutdownTimeout = 2 * time.Second
		start := time.Now()
		r.run(r.config, script(t, map[time.Duration]os.Signal{time.Minute: syscall.SIGTERM}))
		if took := time.Since(start) - time.Minute; took > 3*time.Second {
			t.Errorf("stopping took %v", took)
		}
		close(release)
	})
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		open := r.open
		r.open = func(c writer.Config, l *slog.Logger) (pipe, error) {
			p, err := open(c, l)
			r.pipe.task = func(ctx context.Context) error { <-ctx.Done(); return nil }
			return p, err
		}
		var at []time.Duration
		start := time.Now()
		r.exit = func(code int) { at = append(at, time.Since(start)); r.exits = append(r.exits, code) }
		r.run(r.config, script(t, map[time.Duration]os.Signal{
			60 * time.Second: syscall.SIGTERM, 61 * time.Second: syscall.SIGHUP, 62 * time.Second: syscall.SIGINT}))
		if fmt.Sprint(r.exits, at) != "[1] [1m2s]" {
			t.Errorf("exits %v at %v", r.exits, at)
		}
	})
}

// What ends the service with an error: a log that cannot be opened at the
// start, options no collector takes, a sender that gives up.
func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rig)
		text   string
	}{
		{"open", func(r *rig) {
			r.open = func(writer.Config, *slog.Logger) (pipe, error) { return nil, errors.New("log is locked") }
		}, "log is locked"},
		{"collectors", func(r *rig) { r.collectors = failToMake }, "bad options"},
		{"sender", func(r *rig) {
			open := r.open
			r.open = func(w writer.Config, l *slog.Logger) (pipe, error) {
				p, err := open(w, l)
				r.pipe.task = func(context.Context) error { return errors.New("out of order") }
				return p, err
			}
		}, "receiver fake: out of order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				c.change(r)
				err := r.run(r.config, nil)
				if err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %v, want one with %q", err, c.text)
				}
				if r.pipe != nil && !slices.Contains(r.pipe.events, "close") {
					t.Error("the log was left open")
				}
			})
		})
	}
}

func failToMake([]string, collector.Paths, collector.Options) ([]collector.Collector, error) {
	return nil, errors.New("bad options")
}
