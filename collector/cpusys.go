package collector

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"nodepush/metric"
)

// cpuSys reads what sysfs knows of CPUs.
// https://docs.kernel.org/admin-guide/cputopology.html
// https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-devices-system-cpu
type cpuSys struct {
	dir              string
	isolated, online file
	spans            []span
	known            bool   // the fields below have been filled in
	at               uint64 // for this state of the list of CPUs
	pluggable        []int  // CPUs that can go on and off line; nil: the kernel cannot do that
	cores, packages  []throttle
}

// throttle is a counter of one core or package and its labels.
type throttle struct {
	count  file
	labels []string
}

var (
	cpuCoreThrottles = &metric.Desc{
		Name: "node_cpu_core_throttles_total", Type: metric.Counter, Labels: []string{"package", "core"},
		Help: "How often a core was slowed down because it got too hot.",
	}
	cpuPackageThrottles = &metric.Desc{
		Name: "node_cpu_package_throttles_total", Type: metric.Counter, Labels: []string{"package"},
		Help: "How often a whole package was slowed down because it got too hot.",
	}
	cpuIsolated = &metric.Desc{
		Name: "node_cpu_isolated", Type: metric.Gauge, Labels: []string{"cpu"},
		Help: "Always 1, for each CPU that the scheduler leaves alone (isolcpus).",
	}
	cpuOnline = &metric.Desc{
		Name: "node_cpu_online", Type: metric.Gauge, Labels: []string{"cpu"},
		Help: "Whether a CPU is online, where CPUs can be switched off.",
	}
)

func newCPUSys(h *host) cpuSys {
	dir := filepath.Join(h.Sysfs, "devices/system/cpu")
	return cpuSys{dir: dir, isolated: fileAt(dir, "isolated"), online: fileAt(dir, "online")}
}

// collect reads the counters, and the layout of cores and packages only when
// changes, the state of the list of CPUs, is not what it was.
func (s *cpuSys) collect(r *reader, changes uint64, dst *metric.Buffer) error {
	var errLearn error
	if !s.known || s.at != changes {
		errLearn = s.learn(r)
		s.known, s.at = true, changes
	}
	return errors.Join(
		errLearn,
		s.addIsolated(r, dst),
		addThrottles(r, cpuCoreThrottles, s.cores, dst),
		addThrottles(r, cpuPackageThrottles, s.packages, dst),
		s.addOnline(r, dst),
	)
}

func (s *cpuSys) addIsolated(r *reader, dst *metric.Buffer) error {
	spans, err := s.readSpans(r, s.isolated)
	for _, span := range spans {
		for n := span.first; n <= span.last; n++ {
			dst.Add(cpuIsolated, 1, cpuNumber(n, dst))
		}
	}
	return err
}

func (s *cpuSys) addOnline(r *reader, dst *metric.Buffer) error {
	if s.pluggable == nil {
		return nil
	}
	online, err := s.readSpans(r, s.online)
	if err != nil || len(online) == 0 {
		return err
	}
	for _, n := range s.pluggable {
		for len(online) > 0 && online[0].last < n {
			online = online[1:]
		}
		on := 0.0
		if len(online) > 0 && online[0].first <= n {
			on = 1
		}
		dst.Add(cpuOnline, on, cpuNumber(n, dst))
	}
	return nil
}

func (s *cpuSys) readSpans(r *reader, f file) ([]span, error) {
	text, err := r.read(f)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	s.spans, err = parseSpans(s.spans[:0], text)
	if err != nil {
		return nil, malformed(f, 0, text, "ascending numbers and ranges such as 0-3,8")
	}
	return s.spans, nil
}

func cpuNumber(n int, dst *metric.Buffer) string {
	var digits [20]byte
	return dst.String(strconv.AppendInt(digits[:0], int64(n), 10))
}

func addThrottles(r *reader, d *metric.Desc, throttles []throttle, dst *metric.Buffer) error {
	var problems []error
	for _, t := range throttles {
		v, err := r.readUint(t.count)
		if err != nil {
			problems = append(problems, unlessAbsent(err))
			continue
		}
		dst.Add(d, float64(v), t.labels...)
	}
	return errors.Join(problems...)
}

// learn lists the CPUs, and the counters of their cores and packages: each is
// read from the first CPU that has it. A CPU that does not say where it is has
// none.
func (s *cpuSys) learn(r *reader) error {
	s.pluggable, s.cores, s.packages = nil, nil, nil
	var problems []error
	numbers := numbered(s.dir, "cpu")
	seen := make(map[string]bool)
	for _, n := range numbers {
		cpu := filepath.Join(s.dir, "cpu"+strconv.Itoa(n))
		pkg, err1 := r.readID(fileAt(cpu, "topology/physical_package_id"))
		core, err2 := r.readID(fileAt(cpu, "topology/core_id"))
		problems = append(problems, err1, err2)
		if pkg == "" || core == "" {
			continue
		}
		s.cores = addThrottle(s.cores, seen, filepath.Join(cpu, "thermal_throttle/core_throttle_count"), pkg, core)
		s.packages = addThrottle(s.packages, seen, filepath.Join(cpu, "thermal_throttle/package_throttle_count"), pkg)
	}
	if len(numbers) > 0 && exists(filepath.Join(s.dir, "cpu"+strconv.Itoa(numbers[0]), "online")) {
		s.pluggable = numbers
	}
	return errors.Join(problems...)
}

// addThrottle appends the counter at path unless its labels are seen or the
// file does not exist.
func addThrottle(list []throttle, seen map[string]bool, path string, labels ...string) []throttle {
	key := ""
	for _, l := range labels {
		key += l + "/"
	}
	if seen[key] || !exists(path) {
		return list
	}
	seen[key] = true
	return append(list, throttle{fileAt(path), labels})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readID reads the number of a package or core, "" if the kernel has none: it
// then leaves out the file or writes -1.
func (r *reader) readID(f file) (string, error) {
	text, err := r.read(f)
	if err != nil || string(text) == "-1\n" {
		return "", unlessAbsent(err)
	}
	v, err := r.readUint(f)
	if err != nil {
		return "", err
	}
	return strconv.FormatUint(v, 10), nil
}
