package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"nodepush/metric"
)

// draft is a Config while the file is read: with what fill needs to finish it.
type draft struct {
	Config
	profile string
	blocks  map[string]*collectorBlock // collectors.<name>, by name
}

func newDraft() *draft {
	d := &draft{profile: "full", blocks: make(map[string]*collectorBlock)}
	d.Interval, d.ShutdownTimeout, d.Job = 15*time.Second, 10*time.Second, "node"
	d.Writer = defaultWriter()
	return d
}

// topKeys are the keys of the file's top level.
func topKeys() []key[draft] {
	self := func(d *draft) *draft { return d }
	return []key[draft]{
		{"global", "", "the rhythm and the identity of this host", nested(globalKeys(), self)},
		{"collectors", "", "what is collected", nested(collectorsKeys(), self)},
		{"remote_write", "", "the receivers, at least one; each element is a block", receiversReader()},
		{"wal", "", "the log on disk that holds what no receiver has confirmed", nested(walKeys(), writerOf)},
		{"pushgateway", "", "pushing to a Pushgateway is not built yet: use remote_write", rejected[draft]()},
		{"scrape_configs", "", "scraping other programs is not built yet: keep Prometheus or its agent for them", rejected[draft]()},
		{"scrape_config_files", "", "scraping other programs is not built yet: keep Prometheus or its agent for them", rejected[draft]()},
		{"rule_files", "", "rules are not evaluated here: evaluate them at the receiver", rejected[draft]()},
		{"alerting", "", "alerts are not sent from here: define them at the receiver", rejected[draft]()},
		{"remote_read", "", "there is nothing to query here: query the receiver", rejected[draft]()},
		{"storage", "", "there is no database here: the block wal bounds what is kept on disk", rejected[draft]()},
		{"tracing", "", "tracing is not supported", rejected[draft]()},
		{"otlp", "", "OTLP is not received here", rejected[draft]()},
		{"runtime", "", "set GOGC in the environment and --log.level on the command line", rejected[draft]()},
	}
}

// globalKeys are the keys of the block global.
func globalKeys() []key[draft] {
	return []key[draft]{
		{"scrape_interval", "15s", "time between two rounds of collection", asDuration(func(d *draft) *time.Duration { return &d.Interval }, minInterval, maxInterval)},
		{"scrape_timeout", "", "how long a collector may take in a round; at most the shortest interval, and by default 10s or the shortest interval if that is less", asDuration(func(d *draft) *time.Duration { return &d.Timeout }, 100*time.Millisecond, maxInterval)},
		{"external_labels", "", "labels that every series gets unless it has one of that name; values are expanded", reader[draft]{typ: "mapping of strings, expanded", read: readExternalLabels}},
		{"instance", "", "the label instance of every series; by default the host name, read once and kept in wal.dir so that it never changes", asExpanded(func(d *draft) *string { return &d.Instance })},
		{"shutdown_timeout", "10s", "how long a stop may take, the last send included", asDuration(func(d *draft) *time.Duration { return &d.ShutdownTimeout }, 0, 10*time.Minute)},
		{"evaluation_interval", "", "no rules are evaluated here", ignored[draft]()},
		{"rule_query_offset", "", "no rules are evaluated here", ignored[draft]()},
		{"query_log_file", "", "there is nothing to query here", ignored[draft]()},
		{"scrape_failure_log_file", "", "nothing is scraped here", ignored[draft]()},
		{"scrape_protocols", "", "nothing is scraped here", ignored[draft]()},
		{"scrape_native_histograms", "", "nothing is scraped here", ignored[draft]()},
		{"always_scrape_classic_histograms", "", "nothing is scraped here", ignored[draft]()},
		{"convert_classic_histograms_to_nhcb", "", "nothing is scraped here", ignored[draft]()},
		{"extra_scrape_metrics", "", "nothing is scraped here", ignored[draft]()},
		{"metric_name_validation_scheme", "", "every name made here is valid in both schemes", ignored[draft]()},
		{"metric_name_escaping_scheme", "", "no name made here needs escaping", ignored[draft]()},
		{"body_size_limit", "", "nothing is scraped here", ignored[draft]()},
		{"sample_limit", "", "nothing is scraped here", ignored[draft]()},
		{"target_limit", "", "nothing is scraped here", ignored[draft]()},
		{"label_limit", "", "nothing is scraped here", ignored[draft]()},
		{"label_name_length_limit", "", "nothing is scraped here", ignored[draft]()},
		{"label_value_length_limit", "", "nothing is scraped here", ignored[draft]()},
		{"keep_dropped_targets", "", "nothing is scraped here", ignored[draft]()},
	}
}

// An interval below a second would measure the agent, and one above a day
// would never be due on a host that is switched off at night.
const (
	minInterval = time.Second
	maxInterval = 24 * time.Hour
)

// readExternalLabels reads the mapping of label names to expanded values. An
// empty value is the same as no label (Prometheus' data model), so it is left out.
func readExternalLabels(v value, d *draft) {
	for _, e := range v.entries() {
		l := v.at(e.name, e.node, e.line)
		if !l.labelName(e.name) {
			continue
		}
		var text string
		if !l.null() {
			var ok bool
			if text, ok = l.expanded(); !ok {
				continue
			}
		}
		if text == "" {
			l.warn("is empty, so that the label is not sent")
			continue
		}
		d.ExternalLabels = append(d.ExternalLabels, metric.Label{Name: e.name, Value: text})
	}
	slices.SortFunc(d.ExternalLabels, func(a, b metric.Label) int { return cmp.Compare(a.Name, b.Name) })
}

// labelName reports whether an external label may have the name, or says why not.
func (v value) labelName(name string) bool {
	switch {
	case name == "":
		v.fail("a label needs a name")
	case name == model.MetricNameLabel:
		v.fail("the metric name cannot be a label of all series")
	case name == "job":
		v.fail("every series has a job of its own: set collectors.job")
	case name == "instance":
		v.fail("every series has an instance of its own: set global.instance")
	default:
		if !model.LegacyValidation.IsValidLabelName(name) {
			v.warn("is no classic label name ([a-zA-Z_][a-zA-Z0-9_]*): not every receiver accepts it")
		}
		return true
	}
	return false
}
