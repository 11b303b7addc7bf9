// Package collector reads the kernel and the container runtimes; one subject a file.
package collector

import (
	"context"
	"time"

	"nodepush/metric"
)

// Collector reads one subject.
type Collector interface {
	// Name is the subject: cpu, meminfo.
	Name() string
	// Descs returns every description the collector may use, in the order of docs/metrics.md.
	Descs() []*metric.Desc
	// Collect adds the samples of the round at now to dst. A partial read
	// leaves the samples it got and returns the error. It is called by one
	// goroutine at a time and may return after ctx has ended.
	Collect(ctx context.Context, now time.Time, dst *metric.Buffer) error
}

// Paths are the roots that collectors read below.
type Paths struct {
	Procfs, Sysfs, Rootfs, UdevData, Runfs string
}

// Options are the collectors' own settings (configuration block collectors),
// under node_exporter's flag names. The zero value is node_exporter's default.
type Options struct {
	CPU        CPUOptions        `yaml:"cpu"`
	Diskstats  DiskstatsOptions  `yaml:"diskstats"`
	Filesystem FilesystemOptions `yaml:"filesystem"`
	Netdev     NetdevOptions     `yaml:"netdev"`
}

type CPUOptions struct {
	Info bool `yaml:"info"`
}
type DiskstatsOptions struct {
	DeviceExclude *string `yaml:"device_exclude"`
	DeviceInclude *string `yaml:"device_include"`
}
type FilesystemOptions struct {
	MountPointsExclude *string       `yaml:"mount_points_exclude"`
	MountPointsInclude *string       `yaml:"mount_points_include"`
	FSTypesExclude     *string       `yaml:"fs_types_exclude"`
	FSTypesInclude     *string       `yaml:"fs_types_include"`
	MountTimeout       time.Duration `yaml:"mount_timeout"`
}
type NetdevOptions struct {
	DeviceExclude *string `yaml:"device_exclude"`
	DeviceInclude *string `yaml:"device_include"`
}

// Names lists every collector, in the order of docs/metrics.md.
func Names() []string { panic("skeleton") }

// New makes the named collectors, or says what is wrong with their options.
func New(names []string, p Paths, o Options) ([]Collector, error) { panic("skeleton") }
