package collector

import (
	"bytes"
	"errors"
	"regexp"

	"nodepush/metric"
)

// cpuInfo shows make and model of the CPUs.
// https://docs.kernel.org/filesystems/proc.html ("cpuinfo")
type cpuInfo struct {
	file        file
	flags, bugs *regexp.Regexp // nil: none shown
	cpus        roster[struct{}]
	common      cpuLabels // of all CPUs, from the text before the first
}

// cpuLabels are the values of the labels of node_cpu_info.
type cpuLabels [10]string

var (
	cpuInfoDesc = &metric.Desc{
		Name: "node_cpu_info", Type: metric.Gauge,
		Labels: []string{"package", "core", "cpu", "vendor", "family", "model", "model_name", "microcode", "stepping", "cachesize"},
		Help:   "Always 1; the labels are what /proc/cpuinfo says of each CPU.",
	}
	cpuFlagInfo = &metric.Desc{
		Name: "node_cpu_flag_info", Type: metric.Gauge, Labels: []string{"flag"},
		Help: "Always 1, for each selected feature that the first CPU has.",
	}
	cpuBugInfo = &metric.Desc{
		Name: "node_cpu_bug_info", Type: metric.Gauge, Labels: []string{"bug"},
		Help: "Always 1, for each selected bug that the first CPU has.",
	}
)

// newCPUInfo returns nil when nothing of /proc/cpuinfo is to be shown.
func newCPUInfo(h *host, o CPUOptions) (*cpuInfo, error) {
	flags, err1 := compile("collectors.cpu.info_flags_include", o.InfoFlagsInclude)
	bugs, err2 := compile("collectors.cpu.info_bugs_include", o.InfoBugsInclude)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if !o.Info && flags == nil && bugs == nil {
		return nil, nil
	}
	return &cpuInfo{file: fileAt(h.Procfs, "cpuinfo"), flags: flags, bugs: bugs}, nil
}

// Where the columns are that matter by themselves.
const (
	cpuColumnCore   = 1
	cpuColumnNumber = 2
	cpuColumnModel  = 6
)

// cpuColumn returns the place among the labels of node_cpu_info of what
// architectures call key, or -1. They are node_exporter's choices: what ARM
// says of implementer, variant and part is not shown, RISC-V's hart is the core
// and its ISA the model (addLine), and MIPS's vendor is the whole system's.
func cpuColumn(key []byte) int {
	switch string(key) {
	case "physical id":
		return 0
	case "core id", "hart":
		return cpuColumnCore
	case "processor":
		return cpuColumnNumber
	case "vendor_id", "vendor", "system type":
		return 3
	case "cpu family", "CPU Family":
		return 4
	case "model":
		return 5
	case "model name", "Model Name", "cpu model", "Processor": // the last one of old ARM kernels
		return cpuColumnModel
	case "microcode":
		return 7
	case "stepping":
		return 8
	case "cache size":
		return 9
	}
	return -1
}

// collect does nothing for a nil cpuInfo.
func (c *cpuInfo) collect(r *reader, dst *metric.Buffer) error {
	if c == nil {
		return nil
	}
	text, err := r.read(c.file)
	if err != nil {
		return unlessAbsent(err)
	}
	l := lines{file: c.file, rest: text}
	c.cpus.begin()
	var labels cpuLabels
	c.common = cpuLabels{}
	for l.next() {
		c.addLine(&l, &labels, dst)
	}
	c.add(&labels, dst)
	c.cpus.end()
	return l.end()
}

// addLine takes a line "key : value". A line "processor" begins the next CPU,
// everything up to the following one belongs to it.
func (c *cpuInfo) addLine(l *lines, labels *cpuLabels, dst *metric.Buffer) {
	if len(bytes.TrimSpace(l.text)) == 0 {
		return
	}
	key, value, ok := bytes.Cut(l.text, []byte{':'})
	if !ok {
		l.reject(`"key : value"`)
		return
	}
	key, value = bytes.TrimSpace(key), bytes.TrimSpace(value)
	column := cpuColumn(key)
	if string(key) == "isa" && labels[cpuColumnCore] != "" { // MIPS has an ISA too, but no harts
		column = cpuColumnModel
	}
	if column == cpuColumnNumber {
		c.begin(labels, dst)
		if _, again := c.cpus.meet(value); again || !isNumber(value) {
			l.reject("the number of another processor")
			return
		}
	}
	if column >= 0 {
		labels[column] = label(dst.String(value))
	}
	if c.cpus.met == 1 && labels[cpuColumnNumber] != "" {
		c.addWords(key, value, dst)
	}
}

func isNumber(text []byte) bool {
	_, ok := parseUint(text)
	return ok
}

// begin shows the CPU that ends here and empties labels for the next one. What
// stands before the first CPU holds for all of them.
func (c *cpuInfo) begin(labels *cpuLabels, dst *metric.Buffer) {
	if c.cpus.met == 0 {
		c.common = *labels
	}
	c.add(labels, dst)
	*labels = c.common
}

// add shows a CPU, unless it has no number: the text before the first one and
// ARM's text on the board are no CPUs.
func (c *cpuInfo) add(labels *cpuLabels, dst *metric.Buffer) {
	if labels[cpuColumnNumber] != "" {
		dst.Add(cpuInfoDesc, 1, labels[:]...)
	}
}

// addWords shows the selected flags or bugs of the first CPU.
func (c *cpuInfo) addWords(key, value []byte, dst *metric.Buffer) {
	desc, selected := cpuFlagInfo, c.flags
	switch string(key) {
	case "flags", "Features", "features":
	case "bugs":
		desc, selected = cpuBugInfo, c.bugs
	default:
		return
	}
	if selected == nil {
		return
	}
	word, rest := cutField(value)
	for ; len(word) > 0; word, rest = cutField(rest) {
		if !selected.Match(word) {
			continue
		}
		n := dst.Len()
		dst.Add(desc, 1, label(dst.String(word)))
		if shownBefore(dst.Samples(), n) {
			dst.Truncate(n)
		}
	}
}

// shownBefore reports whether the series of samples[n] is among the earlier ones.
func shownBefore(samples []metric.Sample, n int) bool {
	for _, s := range samples[:n] {
		if s.Desc == samples[n].Desc && s.Values[0] == samples[n].Values[0] {
			return true
		}
	}
	return false
}
