package agent

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"nodepush/metric"
)

// Descriptions of what the agent says about itself and its rounds, in the
// order of docs/metrics.md. Build information carries the labels that
// node_exporter's dashboards ask for.
var (
	up = &metric.Desc{Name: "up", Type: metric.Gauge,
		Help: "Always 1: the collection this sample belongs to was made. A host that is down shows by its absence."}
	scrapeSuccess = &metric.Desc{Name: "node_scrape_collector_success", Type: metric.Gauge, Labels: []string{"collector"},
		Help: "Whether the collector finished the round in time and without an error."}
	scrapeDuration = &metric.Desc{Name: "node_scrape_collector_duration_seconds", Type: metric.Gauge, Unit: "seconds", Labels: []string{"collector"},
		Help: "How long the collector took in the round."}
	exporterBuild = &metric.Desc{Name: "node_exporter_build_info", Type: metric.Gauge,
		Labels: []string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		Help:   "Always 1: the build of nodepush, under the name that node_exporter's dashboards look for."}
	agentBuild = &metric.Desc{Name: "nodepush_build_info", Type: metric.Gauge,
		Labels: []string{"goarch", "goos", "goversion", "revision", "version"},
		Help:   "Always 1: the build of nodepush."}
	reloadOK = &metric.Desc{Name: "nodepush_config_last_reload_successful", Type: metric.Gauge,
		Help: "Whether the configuration file was accepted when it was last read."}
	reloadTime = &metric.Desc{Name: "nodepush_config_last_reload_success_timestamp_seconds", Type: metric.Gauge, Unit: "seconds",
		Help: "When the configuration in use was read, in seconds since the epoch."}
	rounds = &metric.Desc{Name: "nodepush_rounds_total", Type: metric.Counter, Labels: []string{"source"},
		Help: "Rounds made, the present one included."}
	roundsSkipped = &metric.Desc{Name: "nodepush_rounds_skipped_total", Type: metric.Counter, Labels: []string{"source"},
		Help: "Rounds that were due while the machine was suspended or stalled, and were not made up."}
	roundDuration = &metric.Desc{Name: "nodepush_round_duration_seconds", Type: metric.Gauge, Unit: "seconds", Labels: []string{"source"},
		Help: "How long the source's newest round took."}
	samplesCollected = &metric.Desc{Name: "nodepush_samples_collected_total", Type: metric.Counter, Labels: []string{"source"},
		Help: "Samples of all rounds before the present one."}
	appendFailures = &metric.Desc{Name: "nodepush_append_failures_total", Type: metric.Counter, Labels: []string{"source"},
		Help: "Collections that the log reported an error for."}
	collectorLate = &metric.Desc{Name: "nodepush_collector_late_total", Type: metric.Counter, Labels: []string{"collector"},
		Help: "Rounds that the collector had not finished in time. There is no series before the first."}
	collectorFailures = &metric.Desc{Name: "nodepush_collector_failures_total", Type: metric.Counter, Labels: []string{"collector"},
		Help: "Rounds in which the collector reported an error, panics included. There is no series before the first."}
	collectorPanics = &metric.Desc{Name: "nodepush_collector_panics_total", Type: metric.Counter, Labels: []string{"collector"},
		Help: "Rounds in which the collector panicked. There is no series before the first."}
)

// descs lists the descriptions above.
func descs() []*metric.Desc {
	return []*metric.Desc{
		up, scrapeSuccess, scrapeDuration, exporterBuild, agentBuild, reloadOK, reloadTime,
		rounds, roundsSkipped, roundDuration, samplesCollected, appendFailures,
		collectorLate, collectorFailures, collectorPanics,
	}
}

// counts is what the agent has counted since the process began; a reload does
// not reset it. Entries are added between rounds only and never removed.
type counts struct {
	sources    map[string]*sourceCounts
	collectors map[string]*collectorCounts
	reloadOK   atomic.Bool
	reloadTime atomic.Int64 // milliseconds since the epoch
	began      int64        // of counting, milliseconds since the epoch
}

func newCounts() *counts {
	return &counts{
		sources: make(map[string]*sourceCounts), collectors: make(map[string]*collectorCounts), began: time.Now().UnixMilli(),
	}
}

// source returns the counts of a source, made when there are none.
func (c *counts) source(name string) *sourceCounts {
	if c.sources[name] == nil {
		c.sources[name] = new(sourceCounts)
	}
	return c.sources[name]
}

// collector returns the counts of a collector, made when there are none.
func (c *counts) collector(name string) *collectorCounts {
	if c.collectors[name] == nil {
		c.collectors[name] = new(collectorCounts)
	}
	return c.collectors[name]
}

// loaded notes how reading the configuration went.
func (c *counts) loaded(ok bool, now time.Time) {
	c.reloadOK.Store(ok)
	if ok {
		c.reloadTime.Store(now.UnixMilli())
	}
}

// self collects the agent's own metrics. It has no goroutine: the source of
// the default interval calls it when the others are done, so that it tells of
// the round it is in.
type self struct {
	build  build
	counts *counts
	pipe   func(now time.Time, dst *metric.Buffer) // the log's and the senders' metrics; nil without
	once   bool                                    // nothing that only the service has
	report trouble
	buf    metric.Buffer
}

func newSelf(b build, c *counts, pipe func(time.Time, *metric.Buffer), log *slog.Logger) *self {
	return &self{build: b, counts: c, pipe: pipe, report: trouble{what: "collector", log: log.With("collector", "nodepush")}}
}

// samples returns the round's own metrics, valid until the next call.
func (s *self) samples(now time.Time) []metric.Sample {
	if err := collect(context.Background(), s, now, &s.buf); err != nil {
		s.report.failed(time.Now(), err)
	} else {
		s.report.worked()
	}
	return s.buf.Samples()
}

func (s *self) Name() string          { return "nodepush" }
func (s *self) Descs() []*metric.Desc { return descs() }

// Collect adds the build, and what the service has counted where it runs.
func (s *self) Collect(_ context.Context, now time.Time, dst *metric.Buffer) error {
	b := s.build
	dst.Start = s.counts.began
	dst.Add(exporterBuild, 1, b.branch, b.goarch, b.goos, b.goVersion, b.revision, b.tags, b.version)
	dst.Add(agentBuild, 1, b.goarch, b.goos, b.goVersion, b.revision, b.version)
	if s.once {
		return nil
	}
	dst.Add(up, 1)
	s.service(dst)
	if s.pipe != nil {
		s.pipe(now, dst)
	}
	return nil
}

// service adds what has been counted, in the order of names.
func (s *self) service(dst *metric.Buffer) {
	ok := 0.0
	if s.counts.reloadOK.Load() {
		ok = 1
	}
	dst.Add(reloadOK, ok)
	dst.Add(reloadTime, float64(s.counts.reloadTime.Load())/1000)
	for _, name := range slices.Sorted(maps.Keys(s.counts.sources)) {
		c := s.counts.sources[name]
		dst.Add(rounds, float64(c.rounds.Load()), name)
		dst.Add(roundsSkipped, float64(c.skipped.Load()), name)
		dst.Add(roundDuration, math.Float64frombits(c.took.Load()), name)
		dst.Add(samplesCollected, float64(c.samples.Load()), name)
		dst.Add(appendFailures, float64(c.refused.Load()), name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.counts.collectors)) {
		c := s.counts.collectors[name]
		addCount(dst, collectorLate, &c.late, name)
		addCount(dst, collectorFailures, &c.failures, name)
		addCount(dst, collectorPanics, &c.panics, name)
	}
}

// addCount adds a count that has begun. A hundred series that stay 0 for
// years would cost a metered link more than they tell: a collector that fails
// shows in node_scrape_collector_success.
func addCount(dst *metric.Buffer, d *metric.Desc, n *atomic.Uint64, name string) {
	if v := n.Load(); v > 0 {
		dst.Add(d, float64(v), name)
	}
}
