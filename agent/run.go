package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"nodepush/writer"
)

// run is the service: one life after another until a signal ends it. It
// returns nil after SIGTERM and SIGINT; a second one of these ends the process
// with status 1 at once.
func (a *agent) run(c *Config, signals <-chan os.Signal) error {
	var previous *Config
	for c != nil {
		ctx, stop := context.WithCancelCause(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- a.live(ctx, c) }()
		next, err := a.attend(signals, stop, ended)
		stop(nil)
		switch {
		case err == nil:
			previous, c = c, next
		case errors.Is(err, errStart) && previous != nil:
			a.log.Error("new configuration cannot run; the old one goes on", "err", err)
			a.counts.loaded(false, time.Now())
			previous, c = nil, previous
		default:
			return err
		}
	}
	return nil
}

// attend obeys signals until a life has ended. It returns the configuration
// to go on with, or nil to stop.
func (a *agent) attend(signals <-chan os.Signal, stop context.CancelCauseFunc, ended <-chan error) (next *Config, err error) {
	stopping := false
	for {
		select {
		case err := <-ended:
			if !stopping && next == nil {
				return nil, err
			}
			return a.leave(next, err)
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP && !stopping && next == nil:
				a.notifyReloading()
				if next = a.reload(); next != nil {
					stop(errReload)
				} else {
					a.notifyRefused()
				}
			case s == syscall.SIGHUP:
				a.log.Info("signal is ignored while stopping", "signal", s)
			case stopping:
				a.log.Warn("second signal; leaving at once", "signal", s)
				a.exit(1)
			default:
				a.log.Info("stopping", "signal", s)
				a.notifyStopping()
				stopping, next = true, nil
				stop(nil)
			}
		}
	}
}

// leave decides what the error of a life that was told to end means: nothing
// when the process ends anyway, for the log has what it has; but a new life
// cannot open what the old one holds.
func (a *agent) leave(next *Config, err error) (*Config, error) {
	if err == nil {
		return next, nil
	}
	if next != nil && errors.Is(err, errStuck) {
		return nil, err
	}
	a.log.Error("stop", "err", err)
	return next, nil
}

// reload reads the configuration again. It returns nil, with every problem in
// the log, when the old one has to go on.
func (a *agent) reload() *Config {
	if w := a.current.Load(); w != nil {
		if n := (*w).Unwritten(); n > 0 {
			a.log.Error("configuration is not reloaded: the disk refuses the log, and what is only in memory would be lost", "bytes", n)
			return nil
		}
	}
	c, warnings, err := a.load()
	logProblems(a.log, warnings, err)
	a.counts.loaded(err == nil, time.Now())
	if err != nil {
		a.log.Error("configuration is not reloaded; the old one goes on")
		return nil
	}
	a.log.Info("configuration is reloaded")
	return c
}

// logProblems logs what reading a configuration brought up, a line each.
func logProblems(log *slog.Logger, warnings []Warning, err error) {
	for _, w := range warnings {
		log.Warn("configuration", "warning", w.String())
	}
	for _, err := range flatten(err) {
		log.Error("configuration", "err", err)
	}
}

var (
	errStart   = errors.New("start")                                        // a life could not begin
	errStuck   = errors.New("the log or a sender hangs and is left behind") // a life has not ended
	errTimeout = errors.New("shutdown timeout is over")
	errReload  = errors.New("reload") // why a life ends that another follows
)

// How long a stop waits for what does not come back by itself.
const (
	hungWait  = time.Second     // for collectors that are late; one that hangs in the kernel does not return
	stuckWait = 2 * time.Second // for the rest, after the shutdown timeout has cancelled it
)

// live runs one configuration until ctx ends or a sender fails. It is a whole
// life in order: open, start, wait, stop the rounds, stop the collectors, stop
// the senders, close.
func (a *agent) live(ctx context.Context, c *Config) error {
	w, sources, err := a.prepare(c)
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	hard, cancel := context.WithCancelCause(context.Background()) // ends everything at once
	defer cancel(nil)
	stop, stopRounds := context.WithCancel(hard)
	defer stopRounds()
	a.current.Store(&w)
	defer a.current.Store(nil)
	var keepers, senders, workers, rounds group
	failed := make(chan error, 1)
	for _, t := range w.Tasks() {
		g := &keepers
		if t.Drains {
			g = &senders
		}
		g.Go(t.Name, func() { runTask(hard, t, failed) })
	}
	for _, s := range sources {
		for _, k := range s.workers {
			workers.Go(k.collector.Name(), func() { k.run(s.done) })
		}
		rounds.Go(s.metric.Name, func() { s.run(stop, hard) })
	}
	for _, r := range c.Writer.Receivers {
		a.log.Info("receiver", "name", r.Name, "url", address(r.URL))
	}
	a.log.Info("running", "instance", label(sources[0].metric, "instance"), "collectors", len(c.Collectors),
		"interval", c.Interval, "receivers", len(c.Writer.Receivers), "wal", c.Writer.Dir)
	a.notifyReady(c)

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	soon := time.AfterFunc(c.ShutdownTimeout, func() { cancel(errTimeout) })
	defer soon.Stop()
	last, ended := context.WithTimeout(context.Background(), c.ShutdownTimeout+stuckWait)
	defer ended()

	stopRounds()
	if left := rounds.join(last); len(left) > 0 { // a round ends at its deadline, or with hard
		return errors.Join(err, fmt.Errorf("%w: rounds of %s", errStuck, strings.Join(left, ", ")))
	}
	a.dismiss(hard, sources, &workers)
	a.drain(ctx, hard, w, &senders, c.Writer.Dir)
	cancel(nil)
	if left := append(senders.join(last), keepers.join(last)...); len(left) > 0 {
		return errors.Join(err, fmt.Errorf("%w: %s", errStuck, strings.Join(left, ", ")))
	}
	return errors.Join(err, w.Close())
}

// address is a URL without what may be secret in it.
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "" // the configuration has been checked
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// prepare opens the log and makes the sources, and leaves nothing open when
// either fails. Nothing runs yet.
func (a *agent) prepare(c *Config) (pipe, []*source, error) {
	c.Writer.Version, c.Writer.BootID = a.build.version, a.host.bootID
	w, err := a.open(c.Writer, a.log)
	if err != nil {
		return nil, nil, err
	}
	sources, err := a.sources(c, newSelf(a.build, a.counts, w.Collect, a.log))
	if err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	shareLog(sources, w, a.log)
	return w, sources, nil
}

// dismiss ends the workers. Those that hang are named and left behind.
func (a *agent) dismiss(hard context.Context, sources []*source, workers *group) {
	for _, s := range sources {
		for _, k := range s.workers {
			close(k.tasks)
		}
	}
	ctx, cancel := context.WithTimeout(hard, hungWait)
	defer cancel()
	if left := workers.join(ctx); len(left) > 0 {
		a.log.Warn("collectors hang and are left behind", "collectors", strings.Join(left, ","))
	}
}

// drain lets the senders finish. Before a reload they get a moment only: a
// receiver that hangs must not keep the next life from collecting, and what is
// in flight is sent again by it, with the same cut.
func (a *agent) drain(ctx, hard context.Context, w pipe, senders *group, dir string) {
	patience := hard
	if errors.Is(context.Cause(ctx), errReload) {
		short, done := context.WithTimeout(hard, hungWait)
		defer done()
		patience = short
	}
	w.Drain()
	senders.join(patience)
	a.farewell(hard, w, dir)
}

// farewell says what is left for the next start.
func (a *agent) farewell(hard context.Context, w pipe, dir string) {
	var left []any
	frames := uint64(0)
	for _, b := range w.Backlog() {
		left = append(left, slog.Uint64(b.Receiver, b.Frames))
		frames += b.Frames
	}
	if n := w.Unwritten(); n > 0 {
		a.log.Warn("the disk refuses the log; what is only in memory is lost unless the disk takes it now", "bytes", n, "wal", dir)
	}
	if hard.Err() != nil {
		a.log.Warn("shutdown timeout is over; what is unsent stays in the log", append(left, "wal", dir)...)
	} else if frames > 0 {
		a.log.Info("what is unsent stays in the log and is sent when a receiver of that name runs again", append(left, "wal", dir)...)
	}
}

// runTask runs a task of the writer. One that ends with an error before it was
// told to has found a fault that a restart may cure.
func runTask(ctx context.Context, t writer.Task, failed chan<- error) {
	err := t.Run(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	select {
	case failed <- fmt.Errorf("%s: %w", t.Name, err):
	default: // the first one is enough
	}
}
