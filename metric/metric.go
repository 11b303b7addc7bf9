// Package metric holds the words every other package shares: what a sample
// is, and what its series is called. It knows neither the kernel nor the wire.
//
//	Desc ── names a family's type, help, unit and label names; one per metric, made once
//	Sample ── a Desc, the label values, and the value of one round
//	Collection ── all samples of one source at one moment: the unit of the log
package metric

// Type is the type of a metric family. The numbers are those of
// prometheus.MetricMetadata.MetricType, which remote write 2.0 kept
// (specification 1.0 and 2.0, "Metadata").
type Type uint8

// The types of a metric family.
const (
	Unknown Type = iota
	Counter
	Gauge
	Histogram
	GaugeHistogram
	Summary
	Info
	StateSet
)

// String returns the type's name in the Prometheus text format.
func (t Type) String() string {
	names := [...]string{"untyped", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"}
	if int(t) < len(names) {
		return names[t]
	}
	return names[Unknown]
}

// Desc describes the series of one metric name. It is made once, never
// changed, and compared by address, so that a round allocates nothing.
type Desc struct {
	Name   string   // of the sample: go_gc_duration_seconds_sum
	Family string   // of the family where it differs from Name: go_gc_duration_seconds
	Type   Type     // of the family
	Help   string   // one sentence
	Unit   string   // base unit in the sense of OpenMetrics: "seconds", "bytes"; "" for a plain number
	Labels []string // label names, in the order of Sample.Values
}

// FamilyName returns the name of the family the series belong to.
func (d *Desc) FamilyName() string {
	if d.Family != "" {
		return d.Family
	}
	return d.Name
}

// Label is one name and value of a series' identity.
type Label struct{ Name, Value string }

// Sample is one value of one series in a round.
type Sample struct {
	Desc   *Desc
	Values []string // label values in the order of Desc.Labels; an empty one means that the series has no such label
	Value  float64
	Start  int64 // when the counter began, milliseconds since the epoch; 0: the source's Start
	Ext    *Ext  // what a plain float cannot carry; nil for nearly all samples
}

// Ext carries what is more than a float: a native histogram instead of the
// value, or exemplars beside it. The payloads are protobuf messages of package
// prompb without their timestamps (the collection's holds).
type Ext struct {
	Histogram []byte   // prometheus.Histogram; replaces Sample.Value when not nil
	Float     bool     // the histogram is a float histogram
	Exemplars [][]byte // prometheus.Exemplar; their own timestamps stay
}

// Source names the origin of collections and the labels that all its series
// get. It is fixed while the process runs.
type Source struct {
	Name   string   // "node": stable over restarts, the log keeps the dictionary and presence by it
	BootID [16]byte // /proc/sys/kernel/random/boot_id
	Start  int64    // when the source's counters began (boot, for a host), milliseconds since the epoch; 0: unknown
	Labels []Label  // job, instance and the external labels; a label of the same name in a series wins
}

// Collection is what one source collected at one moment. Source is compared
// by address. The samples belong to the collection until it has been appended.
type Collection struct {
	Source  *Source
	Time    int64 // wall clock, milliseconds since the epoch
	Mono    int64 // CLOCK_BOOTTIME in milliseconds, which no clock step touches
	Samples []Sample
}
