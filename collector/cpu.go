package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"nodepush/metric"
)

// cpu shows what each CPU spent its time on, and, from sysfs, whether it is
// throttled, online and isolated.
// https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
type cpu struct {
	reader
	stat  file
	guest bool // show time of guests by itself
	cpus  roster[*cpuTimes]
	sys   cpuSys
	info  *cpuInfo // nil: not shown
}

// cpuTimes are the columns of a cpu line of /proc/stat, in ticks since boot.
// Time of guests is contained in user and nice.
type cpuTimes [10]uint64

// Where the columns are that matter by themselves.
const (
	cpuIdle      = 3
	cpuGuest     = 8   // the first of guest and guest_nice
	cpuFewest    = 4   // columns of the oldest kernels: user, nice, system, idle
	ticks        = 100 // a second: USER_HZ, whatever the kernel's HZ; only Alpha and Itanium had 1024
	idleJumpBack = 3 * ticks
)

var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"}

var (
	cpuSeconds = &metric.Desc{
		Name: "node_cpu_seconds_total", Type: metric.Counter, Unit: "seconds", Labels: []string{"cpu", "mode"},
		Help: "Time each CPU spent in each mode; user and nice contain the time of guests.",
	}
	cpuGuestSeconds = &metric.Desc{
		Name: "node_cpu_guest_seconds_total", Type: metric.Counter, Unit: "seconds", Labels: []string{"cpu", "mode"},
		Help: "Time each CPU spent running virtual machines, which node_cpu_seconds_total has in user and nice.",
	}
)

func newCPU(h *host, o Options) (Collector, error) {
	info, err := newCPUInfo(h, o.CPU)
	if err != nil {
		return nil, err
	}
	return &cpu{
		reader: h.reader(),
		stat:   fileAt(h.Procfs, "stat"),
		guest:  o.CPU.Guest == nil || *o.CPU.Guest,
		cpus:   roster[*cpuTimes]{make: func(string) *cpuTimes { return new(cpuTimes) }},
		sys:    newCPUSys(h),
		info:   info,
	}, nil
}

func (c *cpu) Name() string { return "cpu" }

func (c *cpu) Descs() []*metric.Desc {
	return []*metric.Desc{
		cpuSeconds, cpuGuestSeconds,
		cpuInfoDesc, cpuFlagInfo, cpuBugInfo,
		cpuCoreThrottles, cpuPackageThrottles, cpuIsolated, cpuOnline,
	}
}

func (c *cpu) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	return errors.Join(
		c.collectTimes(dst),
		c.info.collect(&c.reader, dst),
		c.sys.collect(&c.reader, c.cpus.changes, dst),
	)
}

// collectTimes reads the lines of the CPUs and leaves the rest of /proc/stat,
// whose line of interrupts can be long.
func (c *cpu) collectTimes(dst *metric.Buffer) error {
	text, err := c.read(c.stat)
	if err != nil {
		return required(c.stat, err)
	}
	l := lines{file: c.stat, rest: text}
	c.cpus.begin()
	for l.next() && bytes.HasPrefix(l.text, []byte("cpu")) {
		c.addLine(&l, dst)
	}
	if l.bad == 0 {
		c.cpus.end()
	}
	if l.n > 0 && l.bad == 0 && c.cpus.met == 0 {
		return fmt.Errorf("%s: no line of a CPU", c.stat)
	}
	return l.end()
}

func (c *cpu) addLine(l *lines, dst *metric.Buffer) {
	number, times, ok := parseCPULine(l.text)
	switch {
	case ok && len(number) == 0: // the sum of all
		return
	case !ok:
		l.reject("cpuN and at least 4 numbers")
		return
	}
	known, again := c.cpus.meet(number)
	if again {
		l.reject("every CPU once")
		return
	}
	known.kept.advance(times)
	c.add(known.name, known.kept, dst)
}

func (c *cpu) add(number string, t *cpuTimes, dst *metric.Buffer) {
	for i, v := range t[:cpuGuest] {
		dst.Add(cpuSeconds, float64(v)/ticks, number, cpuModes[i])
	}
	if !c.guest {
		return
	}
	for i, v := range t[cpuGuest:] {
		dst.Add(cpuGuestSeconds, float64(v)/ticks, number, cpuModes[cpuGuest+i])
	}
}

// advance takes over what has grown. The kernel computes idle, iowait and
// steal such that they sometimes step back a little, which would look like a
// restart of the counter. When idle falls by 3 s or more, the CPU was
// unplugged and really began anew.
func (t *cpuTimes) advance(next cpuTimes) {
	if t[cpuIdle] >= idleJumpBack && t[cpuIdle]-idleJumpBack >= next[cpuIdle] {
		*t = next
		return
	}
	for i, v := range next {
		t[i] = max(t[i], v)
	}
}

// parseCPULine splits "cpu0 1000 20 300 4000 50 0 7 8 0 0". The number is
// empty for the line that sums up all CPUs. Columns that an old kernel does
// not have are 0, those that a new one may bring are left out.
func parseCPULine(text []byte) (number []byte, t cpuTimes, ok bool) {
	name, rest := cutField(text)
	number, ok = bytes.CutPrefix(name, []byte("cpu"))
	if _, isNumber := parseUint(number); !ok || len(number) > 0 && !isNumber {
		return number, t, false
	}
	for i := range t {
		v, left, ok := cutUint(rest)
		if !ok {
			extra, _ := cutField(rest)
			return number, t, len(extra) == 0 && i >= cpuFewest
		}
		t[i], rest = v, left
	}
	return number, t, true
}
