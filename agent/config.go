// Package agent runs nodepush: configuration, schedule, self metrics, life cycle.
package agent

import (
	"time"

	"nodepush/collector"
	"nodepush/metric"
	"nodepush/writer"
)

// Config is a checked configuration with every default filled in.
type Config struct {
	Interval        time.Duration  // global.scrape_interval
	Timeout         time.Duration  // global.scrape_timeout: deadline of each collector in a round
	ShutdownTimeout time.Duration  // global.shutdown_timeout
	Instance        string         // global.instance as configured; "" = the host name, latched in the state directory
	ExternalLabels  []metric.Label // sorted by name
	Job             string         // collectors.job
	Collectors      []CollectorConfig
	Options         collector.Options
	Writer          writer.Config // Version is set by the agent
}

// CollectorConfig is one enabled collector.
type CollectorConfig struct {
	Name     string
	Interval time.Duration // its own, or global.scrape_interval
}
