// Package collector reads the kernel (and later the container runtimes): one
// subject a file, under the names that node_exporter gave the metrics.
//
//	file in /proc, /sys, /run ──reader──▶ bytes ──parser──▶ values ──▶ metric.Buffer
//	system call (statfs, uname, rtnetlink) ─────────────────────┘
//
// A parser is total: it turns any bytes into values and an error that names
// file and line, and what could be read is kept. A file that the kernel does
// not have means that the feature is off: no samples, no error.
//
// Collectors keep what they learnt of a device from round to round (its label,
// whether it is filtered out), so that a round in which nothing new appears
// allocates next to nothing.
package collector

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

// Paths are the roots that collectors read below. An empty one is the
// kernel's usual place.
type Paths struct {
	Procfs, Sysfs, Rootfs, UdevData, Runfs string
}

// orUsual fills in what is empty and cleans the rest.
func (p Paths) orUsual() Paths {
	usual := func(path, or string) string {
		if path == "" {
			return or
		}
		return filepath.Clean(path)
	}
	return Paths{
		Procfs:   usual(p.Procfs, "/proc"),
		Sysfs:    usual(p.Sysfs, "/sys"),
		Rootfs:   usual(p.Rootfs, "/"),
		UdevData: usual(p.UdevData, "/run/udev/data"),
		Runfs:    usual(p.Runfs, "/run"),
	}
}

// host is where collectors get their data: below Paths, and from system calls.
// Tests replace the calls.
type host struct {
	Paths
	statfs func(path string, st *unix.Statfs_t) error
	uname  func(*unix.Utsname) error
	zone   *time.Location
	read   func(path string) // told of every file that was opened, unless nil
}

func (h *host) reader() reader { return reader{opened: h.read} }

// part is one line of the list of collectors.
type part struct {
	name string
	make func(*host, Options) (Collector, error)
}

// parts lists every collector, in the order of docs/metrics.md.
func parts() []part {
	return []part{
		{"cpu", newCPU},
		{"meminfo", newMeminfo},
		{"loadavg", newLoadavg},
		{"diskstats", newDiskstats},
		{"filesystem", newFilesystem},
		{"netdev", newNetdev},
		{"uname", newUname},
		{"time", newTime},
		{"process", newProcess},
		{"go", newGo},
	}
}

// Names lists every collector, in the order of docs/metrics.md.
func Names() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// New makes the named collectors, in the order of names, or reports every
// problem with names and options at once (errors.Join), each as
// "collectors.NAME.KEY: what is wrong". It opens no file that a collector needs.
func New(names []string, p Paths, o Options) ([]Collector, error) {
	return makeAll(names, &host{Paths: p.orUsual(), statfs: unix.Statfs, uname: unix.Uname, zone: time.Local}, o)
}

func makeAll(names []string, h *host, o Options) ([]Collector, error) {
	all := parts()
	var made []Collector
	var problems []error
	for i, name := range names {
		at := slices.IndexFunc(all, func(p part) bool { return p.name == name })
		switch {
		case at < 0:
			problems = append(problems, fmt.Errorf("collectors.%s: no such collector; there are %s", name, strings.Join(Names(), ", ")))
			continue
		case slices.Contains(names[:i], name):
			problems = append(problems, fmt.Errorf("collectors.%s: named twice", name))
			continue
		}
		c, err := all[at].make(h, o)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		made = append(made, c)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return made, nil
}
