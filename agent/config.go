package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

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

// Problem is one thing the configuration file has wrong. It never holds a
// secret, nor a value that could be part of one.
type Problem struct {
	File string
	Line int    // from 1; 0 when the file could not be read
	Key  string // remote_write[0].url; "" for the file as a whole
	Text string // what is wrong and what is allowed
}

// Error is the problem in one line: FILE:LINE: key: text.
func (p Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key != "" {
		where += ": " + p.Key
	}
	return where + ": " + p.Text
}

// Warning is something the file says that changes nothing, or that may be
// right only later (a file that is not there yet). It is no reason to stop.
type Warning Problem

// String is the warning in one line: FILE:LINE: key: text.
func (w Warning) String() string { return Problem(w).Error() }

// LoadConfig reads and checks the configuration file. It reads nothing else
// than that file, the environment and the machine id, and touches no network.
// The error joins one Problem for each thing wrong, in the order of lines; no
// Config is returned with it, but the warnings are.
func LoadConfig(file string) (*Config, []Warning, error) {
	return LoadConfigBelow(file, "/")
}

// LoadConfigBelow is LoadConfig for a host whose root is mounted at rootfs
// (flag --path.rootfs): its machine id is the one ${machine_id} stands for.
func LoadConfigBelow(file, rootfs string) (*Config, []Warning, error) {
	p := newParser(file, expander{os.LookupEnv, func() (string, error) { return machineID(rootfs) }})
	data, err := readLimited(file)
	if err != nil {
		return nil, nil, Problem{File: file, Text: err.Error()}
	}
	c := p.parse(data)
	if err := p.err(); err != nil {
		return nil, p.sortedWarnings(), err
	}
	return c, p.sortedWarnings(), nil
}

// DefaultConfig is what an empty file would mean, were a receiver not needed:
// every collector, no receiver.
func DefaultConfig() *Config {
	d := newDraft()
	d.fill(false)
	return &d.Config
}

// parse turns the text of a file into a Config; what is wrong with it is
// collected in p, and then the Config is of no use.
func (p *parser) parse(data []byte) *Config {
	d := newDraft()
	root, ok := p.document(data)
	if !ok {
		return nil
	}
	v := value{p: p, node: root, line: 1}
	readBlock(v, topKeys(), d)
	if !v.null() && root.Kind != yaml.MappingNode {
		return nil
	}
	if !p.has("remote_write") {
		v.at("remote_write", root, 1).fail("at least one receiver is needed: remote_write: [{url: …}]")
	}
	d.fill(p.has("global.scrape_timeout"))
	p.checkIntervals(d)
	p.checkOptions(d)
	return &d.Config
}

// err joins the problems in the order of lines; nil without any.
func (p *parser) err() error {
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(p.problems))
	for i, problem := range p.problems {
		errs[i] = problem
	}
	return errors.Join(errs...)
}

func (p *parser) sortedWarnings() []Warning {
	slices.SortStableFunc(p.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	return p.warnings
}
