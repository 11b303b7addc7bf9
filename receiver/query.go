package receiver

import (
	"cmp"
	"slices"
	"strings"

	"nodepush/metric"
)

// Series is a copy of one stored series.
type Series struct {
	Labels   []metric.Label // sorted by name, __name__ among them; not to be changed
	Newest   Sample
	Live     bool     // Newest is no staleness marker
	Count    uint64   // samples accepted, markers and repetitions included
	Samples  []Sample // all of them in the order of arrival, with Options.KeepBytes; not to be changed
	Metadata          // as last stated by a 2.0 request; Unknown, "" and "" before
}

// String returns the series as PromQL writes it.
func (s Series) String() string { return name(s.Labels) }

// Label returns the value of a label, "" when the series has none.
func (s Series) Label(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Samples, s.Histograms, s.StaleMarkers = r.store.samples, r.store.histograms, r.store.stale
	s.Exemplars, s.Metadata, s.Series = r.store.exemplars, r.store.metadata, r.store.live
	return s
}

// Series returns every series, stale ones included, sorted by labels.
func (r *Receiver) Series() []Series { return r.Select("") }

// Select returns the series of the metric that have the given labels, stale
// ones included, sorted by labels. The name "" stands for every metric, a
// label value "" for series without the label.
func (r *Receiver) Select(metricName string, labels ...metric.Label) []Series {
	if metricName != "" {
		labels = append([]metric.Label{{Name: "__name__", Value: metricName}}, labels...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Series
	for _, s := range r.store.series {
		c := Series{s.labels, s.newest, s.live, s.count, s.kept[:len(s.kept):len(s.kept)], s.Metadata}
		if c.has(labels) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b Series) int { return compare(a.Labels, b.Labels) })
	return found
}

// Metadata returns what a 1.0 request last said of a metric family. It is
// false when none has.
func (r *Receiver) Metadata(family string) (Metadata, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.store.families[family]
	return m, ok
}

// Latest returns the newest sample of the live series of the metric that has
// the given labels. It is false when there is none or more than one.
func (r *Receiver) Latest(metricName string, labels ...metric.Label) (Sample, bool) {
	live := slices.DeleteFunc(r.Select(metricName, labels...), func(s Series) bool { return !s.Live })
	if len(live) != 1 {
		return Sample{}, false
	}
	return live[0].Newest, true
}

// has says that s has all of labels.
func (s Series) has(labels []metric.Label) bool {
	for _, l := range labels {
		if s.Label(l.Name) != l.Value {
			return false
		}
	}
	return true
}

// compare orders label sets.
func compare(a, b []metric.Label) int {
	return slices.CompareFunc(a, b, func(x, y metric.Label) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Value, y.Value))
	})
}

// name writes labels as PromQL does.
func name(labels []metric.Label) string {
	var metricName string
	var rest []string
	for _, l := range labels {
		if l.Name == "__name__" {
			metricName = l.Value
			continue
		}
		rest = append(rest, l.Name+"="+quote(l.Value))
	}
	if len(rest) == 0 {
		return metricName
	}
	return metricName + "{" + strings.Join(rest, ",") + "}"
}

// quote writes a label value with the escapes of the text format.
func quote(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(v) + `"`
}
