package view

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"

	"nodepush/receiver"
)

// cpuUse is what a CPU did between two rounds, as parts of its time in the
// order of cpuModes; what is left was idle. An unknown use has no parts.
type cpuUse struct {
	name  string
	parts []float64
}

// cpuModes are the values of label mode that are not idle.
var cpuModes = []string{"user", "nice", "system", "irq", "softirq", "steal", "iowait"}

// memoryUse is memory or swap in bytes.
type memoryUse struct{ total, available, free float64 }

type filesystemUse struct {
	mountpoint        string
	size, free, avail float64 // bytes; avail is without root's reserve
	readOnly          bool
	problem           string // why there are no sizes
}

// used is the part of a file system that is taken, as df counts: of what
// users other than root can have.
func (f filesystemUse) used() float64 {
	return (f.size - f.free) / (f.size - f.free + f.avail)
}

type diskUse struct {
	name                    string
	read, written, requests float64 // bytes, bytes and requests a second
	busy                    float64 // part of the time
}

type interfaceUse struct {
	name                              string
	received, sent, packets, failures float64 // bytes, bytes, packets and lost packets a second
}

// cpus returns each CPU's use, and how long the host is up: the longest time
// that a CPU has accounted for since boot, which is right to a second or two.
func (o *observer) cpus(stored storedSeries) (all []cpuUse, uptime float64) {
	modes := make(map[string]map[string]float64)
	total := make(map[string]float64)
	for _, s := range stored["node_cpu_seconds_total"] {
		cpu := s.Label("cpu")
		if modes[cpu] == nil {
			modes[cpu] = make(map[string]float64)
		}
		modes[cpu][s.Label("mode")] = o.counters.rate(s.String(), s.Newest)
		total[cpu] += s.Newest.Value
	}
	uptime = math.NaN()
	for cpu, rates := range modes {
		all = append(all, cpuUse{cpu, cpuParts(rates)})
		if !(total[cpu] <= uptime) { // NaN is not
			uptime = total[cpu]
		}
	}
	slices.SortFunc(all, func(a, b cpuUse) int { return byNumber(a.name, b.name) })
	return all, uptime
}

// cpuParts divides each mode's rate by that of all modes: ticks are counted a
// little early or late. It returns nil when a counter has no rate.
func cpuParts(rates map[string]float64) []float64 {
	var sum float64
	for _, r := range rates {
		sum += r
	}
	if !(sum > 0) || !known(sum) {
		return nil
	}
	parts := make([]float64, len(cpuModes))
	for i, mode := range cpuModes {
		parts[i] = rates[mode] / sum
	}
	return parts
}

// allCPUs is the mean of all CPUs whose use is known.
func allCPUs(cpus []cpuUse) cpuUse {
	mean, n := cpuUse{name: "all"}, 0.0
	for _, c := range cpus {
		if c.parts == nil {
			continue
		}
		if mean.parts == nil {
			mean.parts = make([]float64, len(cpuModes))
		}
		n++
		for i, p := range c.parts {
			mean.parts[i] += (p - mean.parts[i]) / n
		}
	}
	return mean
}

// filesystems returns each file system once: of the places where a device is
// mounted, the one with the shortest name.
func filesystems(stored storedSeries) (all []filesystemUse) {
	sizes, free := stored.by("mountpoint", "node_filesystem_size_bytes"), stored.by("mountpoint", "node_filesystem_free_bytes")
	avail, readOnly := stored.by("mountpoint", "node_filesystem_avail_bytes"), stored.by("mountpoint", "node_filesystem_readonly")
	mounts := slices.Clone(stored["node_filesystem_device_error"])
	slices.SortStableFunc(mounts, func(a, b receiver.Series) int {
		return cmp.Compare(len(a.Label("mountpoint")), len(b.Label("mountpoint")))
	})
	seen := make(map[string]bool)
	for _, s := range mounts {
		m, device := s.Label("mountpoint"), s.Label("device")
		f := filesystemUse{m, sizes(m), free(m), avail(m), readOnly(m) == 1, s.Label("device_error")}
		if f.problem == "" && (!(f.size > 0) || seen[device]) {
			continue
		}
		seen[device] = strings.HasPrefix(device, "/") // tmpfs is the name of many
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b filesystemUse) int {
		return cmp.Or(-cmp.Compare(percent(a.used()), percent(b.used())), strings.Compare(a.mountpoint, b.mountpoint))
	})
	return all
}

// percent rounds to whole ones, so that what is nearly equal keeps its place.
func percent(part float64) float64 { return math.Round(100 * part) }

// disks returns every block device.
func (o *observer) disks(stored storedSeries) (all []diskUse) {
	rates := func(name string) func(string) float64 { return o.rates(stored, "device", name) }
	read, written := rates("node_disk_read_bytes_total"), rates("node_disk_written_bytes_total")
	reads, writes := rates("node_disk_reads_completed_total"), rates("node_disk_writes_completed_total")
	busy := rates("node_disk_io_time_seconds_total")
	for _, s := range stored["node_disk_io_time_seconds_total"] {
		d := s.Label("device")
		all = append(all, diskUse{d, read(d), written(d), reads(d) + writes(d), busy(d)})
	}
	slices.SortFunc(all, func(a, b diskUse) int {
		return cmp.Or(-cmp.Compare(percent(a.busy), percent(b.busy)), -cmp.Compare(magnitude(a.read+a.written), magnitude(b.read+b.written)),
			strings.Compare(a.name, b.name))
	})
	return all
}

// interfaces returns every network interface.
func (o *observer) interfaces(stored storedSeries) (all []interfaceUse) {
	rates := func(name string) func(string) float64 {
		return o.rates(stored, "device", "node_network_"+name+"_total")
	}
	received, sent := rates("receive_bytes"), rates("transmit_bytes")
	in, out := rates("receive_packets"), rates("transmit_packets")
	errorsIn, errorsOut, dropsIn, dropsOut := rates("receive_errs"), rates("transmit_errs"), rates("receive_drop"), rates("transmit_drop")
	for _, s := range stored["node_network_receive_bytes_total"] {
		d := s.Label("device")
		all = append(all, interfaceUse{d, received(d), sent(d), in(d) + out(d), errorsIn(d) + errorsOut(d) + dropsIn(d) + dropsOut(d)})
	}
	slices.SortFunc(all, func(a, b interfaceUse) int {
		return cmp.Or(-cmp.Compare(magnitude(a.received+a.sent), magnitude(b.received+b.sent)), strings.Compare(a.name, b.name))
	})
	return all
}

// magnitude is the power of two of a rate in KiB, so that what is nearly
// equally busy keeps its place. What is unknown comes last.
func magnitude(rate float64) int {
	if !known(rate) || rate < 0 {
		return -1
	}
	return bits.Len64(uint64(min(rate, 1<<60) / 1024))
}
