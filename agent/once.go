package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"nodepush/collector"
)

// once makes one round of the collectors and writes it to out as text. The
// error names each collector that failed; what the others got is written.
func (a *agent) once(c *Config, out io.Writer) error {
	s, err := a.onlySource(c)
	if err != nil {
		return err
	}
	var workers group
	for _, k := range s.workers {
		workers.Go(k.collector.Name(), func() { k.run(s.done) })
	}
	s.pace.start()
	round := s.collect(context.Background())
	failures := s.failures()
	if err := writeText(out, round.Samples); err != nil && !errors.Is(err, syscall.EPIPE) { // head(1) has seen enough
		return fmt.Errorf("write: %w", err)
	}
	for _, k := range s.workers {
		close(k.tasks)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hungWait)
	defer cancel()
	workers.join(ctx) // one that hangs is among the failures
	return failures
}

// onlySource makes a source of every collector, whatever its own interval.
func (a *agent) onlySource(c *Config) (*source, error) {
	made, err := a.makeCollectors(c)
	if err != nil {
		return nil, err
	}
	s := a.source(c, c.Interval, "", nil)
	s.own = newSelf(a.build, a.counts, nil, a.log)
	s.own.once = true
	s.deadline = c.Timeout
	for _, m := range made {
		s.workers = append(s.workers, a.worker(m))
	}
	s.done = make(chan outcome, len(s.workers))
	return s, nil
}

// failures joins what went wrong in the round in hand, by collector.
func (s *source) failures() error {
	var errs []error
	for _, w := range s.workers {
		switch {
		case !w.current:
			errs = append(errs, fmt.Errorf("collector %s: not finished within %v", w.collector.Name(), s.deadline))
		case w.outcome.err != nil:
			errs = append(errs, fmt.Errorf("collector %s: %s", w.collector.Name(), strings.ReplaceAll(w.outcome.err.Error(), "\n", "; ")))
		}
	}
	return errors.Join(errs...)
}

// restrict leaves the named collectors in c, whether it enables them or not.
func restrict(c *Config, list string) error {
	var chosen []CollectorConfig
	var unknown []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(collector.Names(), name) {
			unknown = append(unknown, fmt.Sprintf("%q", name))
			continue
		}
		if !slices.ContainsFunc(chosen, func(c CollectorConfig) bool { return c.Name == name }) {
			chosen = append(chosen, CollectorConfig{Name: name, Interval: c.Interval})
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no such collector: %s; there are %s", strings.Join(unknown, ", "), strings.Join(collector.Names(), ", "))
	}
	c.Collectors = chosen
	return nil
}
