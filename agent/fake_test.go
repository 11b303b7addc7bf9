package agent

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nodepush/collector"
	"nodepush/metric"
	"nodepush/writer"
)

// fake is a collector that does what a test says.
type fake struct {
	name    string
	collect func(ctx context.Context, dst *metric.Buffer) error
}

var fakeDesc = &metric.Desc{Name: "fake_value", Type: metric.Gauge, Labels: []string{"collector"}, Help: "A value."}

func (f *fake) Name() string          { return f.name }
func (f *fake) Descs() []*metric.Desc { return []*metric.Desc{fakeDesc} }
func (f *fake) Collect(ctx context.Context, _ time.Time, dst *metric.Buffer) error {
	dst.Add(fakeDesc, 1, f.name)
	return f.collect(ctx, dst)
}

func fine(context.Context, *metric.Buffer) error { return nil }

// round is what a test wants to know of a collection.
type round struct {
	source string
	at     time.Duration // since the start of the bubble
	time   int64
	mono   int64
	next   time.Duration // of the next collection, from this one
	values map[string]float64
}

// has returns the value of a series, written NAME or NAME{VALUE}.
func (r round) has(series string) (float64, bool) {
	v, ok := r.values[series]
	return v, ok
}

// fakePipe keeps what is appended.
type fakePipe struct {
	start  time.Time
	mu     sync.Mutex
	rounds []round
	events []string
	fail   func() error                    // what Append returns
	task   func(ctx context.Context) error // a sender; nil: one that ends with Drain
	drain  chan struct{}
	closed error // what Close returns
	memory int64 // what Unwritten returns
}

func newFakePipe() *fakePipe { return &fakePipe{start: time.Now(), drain: make(chan struct{})} }

func (p *fakePipe) Append(c *metric.Collection, next time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := round{source: c.Source.Name, at: time.Since(p.start), time: c.Time, mono: c.Mono, next: time.Until(next), values: make(map[string]float64)}
	for _, s := range c.Samples {
		name := s.Desc.Name
		if len(s.Values) > 0 {
			name += "{" + strings.Join(s.Values, ",") + "}"
		}
		r.values[name] = s.Value
	}
	p.rounds = append(p.rounds, r)
	p.events = append(p.events, "append")
	if p.fail != nil {
		return p.fail()
	}
	return nil
}

func (p *fakePipe) Tasks() []writer.Task {
	run := func(ctx context.Context) error {
		select {
		case <-p.drain:
			p.event("drained")
		case <-ctx.Done():
			p.event("cancelled")
		}
		return nil
	}
	if p.task != nil {
		run = p.task
	}
	return []writer.Task{{Name: "receiver fake", Run: run, Drains: true}}
}

func (p *fakePipe) event(e string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
}

func (p *fakePipe) Drain() {
	p.event("drain")
	close(p.drain)
}

func (p *fakePipe) Close() error {
	p.event("close")
	return p.closed
}

func (p *fakePipe) Backlog() []writer.Backlog { return nil }

func (p *fakePipe) Unwritten() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memory
}

func (p *fakePipe) Collect(_ time.Time, dst *metric.Buffer) { dst.Add(fakeDesc, 42, "pipe") }

// of returns the rounds of one source.
func (p *fakePipe) of(source string) []round {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.rounds), func(r round) bool { return r.source != source })
}

// journal is a log that a test reads.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// lines returns how many lines have the text.
func (j *journal) lines(text string) (n int) {
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// rig is an agent with fakes for everything around it.
type rig struct {
	*agent
	pipe    *fakePipe // of the newest life
	pipes   []*fakePipe
	journal *journal
	fakes   map[string]*fake
	step    atomic.Int64 // nanoseconds the wall clock has been set forward by
	sleep   atomic.Int64 // nanoseconds the machine has been suspended
	exits   []int
	config  *Config
}

// newRig makes an agent of the collectors, which all have the default interval
// of 10 s and a deadline of 9 s.
func newRig(t testing.TB, fakes ...*fake) *rig {
	t.Helper()
	r := &rig{journal: new(journal), fakes: make(map[string]*fake)}
	r.config = &Config{
		Interval: 10 * time.Second, Timeout: 9 * time.Second, ShutdownTimeout: 10 * time.Second, Job: "node", Instance: "rig",
		Writer: writer.Config{Dir: t.TempDir() + "/wal"},
	}
	for _, f := range fakes {
		r.fakes[f.name] = f
		r.config.Collectors = append(r.config.Collectors, CollectorConfig{f.name, 10 * time.Second})
	}
	start := time.Now()
	r.agent = &agent{
		log: slog.New(slog.NewTextHandler(r.journal, &slog.HandlerOptions{Level: slog.LevelDebug})), counts: newCounts(),
		clock: clock{
			wall: func() time.Time { return time.Now().Add(time.Duration(r.step.Load())) },
			boot: func() time.Duration { return time.Hour + time.Since(start) + time.Duration(r.sleep.Load()) },
		},
		collectors: r.make,
		open: func(writer.Config, *slog.Logger) (pipe, error) {
			r.pipe = newFakePipe()
			r.pipe.start = start
			r.pipes = append(r.pipes, r.pipe)
			return r.pipe, nil
		},
		exit: func(code int) { r.exits = append(r.exits, code) },
		load: func() (*Config, []Warning, error) { return r.config, nil, nil },
	}
	return r
}

func (r *rig) make(names []string, _ collector.Paths, _ collector.Options) ([]collector.Collector, error) {
	var made []collector.Collector
	for _, n := range names {
		made = append(made, r.fakes[n])
	}
	return made, nil
}

// live runs the agent for a while and stops it.
func (r *rig) live(t *testing.T, length time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	if err := r.agent.live(ctx, r.config); err != nil {
		t.Error(err)
	}
}

// Short names for the signature of agent.open.
type (
	writerConfig = writer.Config
	logger       = *slog.Logger
)
