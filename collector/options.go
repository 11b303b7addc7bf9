package collector

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Options are the collectors' own settings (configuration block collectors),
// under node_exporter's flag names: what follows "collector.NAME.", with '_'
// for '-' and '.'. The zero value is node_exporter's default. Patterns are
// regular expressions that match anywhere unless they are anchored.
type Options struct {
	CPU        CPUOptions        `yaml:"cpu"`
	Diskstats  DiskstatsOptions  `yaml:"diskstats"`
	Filesystem FilesystemOptions `yaml:"filesystem"`
	Netdev     NetdevOptions     `yaml:"netdev"`
}

// CPUOptions are the settings of collector cpu.
type CPUOptions struct {
	Guest            *bool   `yaml:"guest"`              // node_cpu_guest_seconds_total; nil: true
	Info             bool    `yaml:"info"`               // node_cpu_info; also on when one of the patterns is given
	InfoFlagsInclude *string `yaml:"info_flags_include"` // flags of the first CPU shown as node_cpu_flag_info; nil or empty: none
	InfoBugsInclude  *string `yaml:"info_bugs_include"`  // bugs of the first CPU shown as node_cpu_bug_info; nil or empty: none
}

// DiskstatsOptions are the settings of collector diskstats. A nil
// DeviceExclude leaves out partitions, loop, RAM and floppy devices, unless
// DeviceInclude is given; an empty one leaves out nothing.
type DiskstatsOptions struct {
	DeviceExclude *string `yaml:"device_exclude"`
	DeviceInclude *string `yaml:"device_include"`
}

// FilesystemOptions are the settings of collector filesystem. A nil exclude
// leaves out what holds no data of its own, unless the include of the same
// subject is given; an empty one leaves out nothing.
type FilesystemOptions struct {
	MountPointsExclude *string       `yaml:"mount_points_exclude"`
	MountPointsInclude *string       `yaml:"mount_points_include"`
	FSTypesExclude     *string       `yaml:"fs_types_exclude"`
	FSTypesInclude     *string       `yaml:"fs_types_include"`
	MountTimeout       time.Duration `yaml:"mount_timeout"` // how long a mount may take to answer; 0: 5 s; a round never waits beyond its own deadline
}

// NetdevOptions are the settings of collector netdev. By default every device
// is shown.
type NetdevOptions struct {
	DeviceExclude *string `yaml:"device_exclude"`
	DeviceInclude *string `yaml:"device_include"`
	AddressInfo   bool    `yaml:"address_info"` // node_network_address_info
}

// The defaults of node_exporter 1.12, so that both show the same devices.
const (
	usualDeviceExclude     = `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`
	usualMountPointExclude = `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`
	usualFSTypeExclude     = `^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$`
	usualMountTimeout      = 5 * time.Second
)

// filter decides by name what is shown. Its zero value shows everything.
type filter struct{ include, exclude *regexp.Regexp }

func (f filter) shows(name string) bool {
	return (f.exclude == nil || !f.exclude.MatchString(name)) && (f.include == nil || f.include.MatchString(name))
}

// newFilter compiles the patterns of key+"_include" and key+"_exclude", of
// which only one may be given. usual stands for an exclude that is not given.
func newFilter(key string, include, exclude *string, usual string) (filter, error) {
	both := include != nil && *include != "" && exclude != nil && *exclude != ""
	if both {
		return filter{}, fmt.Errorf("%s_include: cannot be combined with %s_exclude; give only one of them", key, lastKey(key))
	}
	if exclude == nil && (include == nil || *include == "") {
		exclude = &usual
	}
	in, errIn := compile(key+"_include", include)
	out, errOut := compile(key+"_exclude", exclude)
	return filter{in, out}, errors.Join(errIn, errOut)
}

// compile returns nil for a pattern that is not given or empty.
func compile(key string, pattern *string) (*regexp.Regexp, error) {
	if pattern == nil || *pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(*pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: not a regular expression of Go (RE2): %w", key, err)
	}
	return re, nil
}

// lastKey returns what follows the last dot of a key.
func lastKey(key string) string {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '.' {
			return key[i+1:]
		}
	}
	return key
}
