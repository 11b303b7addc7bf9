package collector

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

// process shows this very process, from the real /proc whatever Paths say.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
type process struct {
	reader
	stat, fds, netstat file
	boot               bootTime
	limits             struct{ files, space unix.Rlimit } // here because they escape: prlimit(2) of most architectures
}

var (
	processCPU = &metric.Desc{
		Name: "process_cpu_seconds_total", Type: metric.Counter, Unit: "seconds",
		Help: "CPU time this process has used, in user and kernel mode.",
	}
	processOpenFDs = &metric.Desc{
		Name: "process_open_fds", Type: metric.Gauge,
		Help: "File descriptors this process has open.",
	}
	processMaxFDs = &metric.Desc{
		Name: "process_max_fds", Type: metric.Gauge,
		Help: "File descriptors this process may have open.",
	}
	processVirtual = &metric.Desc{
		Name: "process_virtual_memory_bytes", Type: metric.Gauge, Unit: "bytes",
		Help: "Address space this process has mapped.",
	}
	processVirtualMax = &metric.Desc{
		Name: "process_virtual_memory_max_bytes", Type: metric.Gauge, Unit: "bytes",
		Help: "Address space this process may map; 2^64 if there is no limit.",
	}
	processResident = &metric.Desc{
		Name: "process_resident_memory_bytes", Type: metric.Gauge, Unit: "bytes",
		Help: "Memory this process holds in RAM.",
	}
	processStart = &metric.Desc{
		Name: "process_start_time_seconds", Type: metric.Gauge, Unit: "seconds",
		Help: "When this process started, since the epoch.",
	}
	processReceived = &metric.Desc{
		Name: "process_network_receive_bytes_total", Type: metric.Counter, Unit: "bytes",
		Help: "IP bytes received in the network namespace of this process, by whomever.",
	}
	processSent = &metric.Desc{
		Name: "process_network_transmit_bytes_total", Type: metric.Counter, Unit: "bytes",
		Help: "IP bytes sent in the network namespace of this process, by whomever.",
	}
)

func newProcess(h *host, _ Options) (Collector, error) {
	return &process{
		reader:  h.reader(),
		stat:    fileAt("/proc/self/stat"),
		fds:     fileAt("/proc/self/fd"),
		netstat: fileAt("/proc/self/net/netstat"),
	}, nil
}

func (c *process) Name() string { return "process" }

func (c *process) Descs() []*metric.Desc {
	return []*metric.Desc{
		processCPU, processOpenFDs, processMaxFDs, processVirtual, processVirtualMax, processResident,
		processStart, processReceived, processSent,
	}
}

func (c *process) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	return errors.Join(c.addStat(dst), c.addFDs(dst), c.addLimits(dst), c.addNetwork(dst))
}

func (c *process) addStat(dst *metric.Buffer) error {
	text, err := c.read(c.stat)
	if err != nil {
		return unlessAbsent(err)
	}
	s, ok := parseProcessStat(text)
	if !ok {
		return malformed(c.stat, 0, text, "the fields of proc_pid_stat(5)")
	}
	dst.Start = began
	dst.Add(processCPU, float64(s.user+s.system)/ticks)
	dst.Start = 0 // the rest are gauges, or count for the whole network namespace
	dst.Add(processVirtual, float64(s.virtual))
	dst.Add(processResident, float64(s.resident)*float64(os.Getpagesize()))
	boot, err := c.boot.read()
	if err != nil {
		return err
	}
	dst.Add(processStart, boot+float64(s.start)/ticks)
	return nil
}

// processStat are fields of /proc/PID/stat: times in ticks, start since boot,
// virtual in bytes and resident in pages.
type processStat struct{ user, system, start, virtual, resident uint64 }

// parseProcessStat finds the fields behind the name, which is in parentheses
// and may hold spaces and parentheses itself.
func parseProcessStat(text []byte) (s processStat, ok bool) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return s, false
	}
	rest := bytes.TrimRight(text[end+1:], "\n")
	for n := 3; n <= 24; n++ {
		var field []byte
		field, rest = cutField(rest)
		to := s.field(n)
		if to == nil {
			continue
		}
		if *to, ok = parseUint(field); !ok {
			return s, false
		}
	}
	return s, true
}

// field returns where field n of proc_pid_stat(5) goes, nil if it is not wanted.
func (s *processStat) field(n int) *uint64 {
	switch n {
	case 14:
		return &s.user
	case 15:
		return &s.system
	case 22:
		return &s.start
	case 23:
		return &s.virtual
	case 24:
		return &s.resident
	}
	return nil
}

// bootTime is when the host booted, in whole seconds since the epoch: btime of
// /proc/stat, without reading the whole of that file.
type bootTime struct {
	known   bool
	exact   float64
	seconds float64
}

// read follows the clock when it is stepped, but not the noise of reading two
// clocks one after the other: a start time that flickers is a restart to alerts.
func (b *bootTime) read() (float64, error) {
	var wall, boot unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &wall), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	exact := float64(wall.Nano()-boot.Nano()) / 1e9
	if !b.known || math.Abs(exact-b.exact) > 0.5 {
		*b = bootTime{known: true, exact: exact, seconds: math.Floor(exact)}
	}
	return b.seconds, nil
}

// addFDs takes the number from the size of the directory (Linux 6.2), or
// counts its entries. The descriptor used for that does not count.
func (c *process) addFDs(dst *metric.Buffer) error {
	fd, err := c.open(c.fds, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return unlessAbsent(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fileError("stat", c.fds, err)
	}
	n := st.Size
	if n == 0 {
		if n, err = c.countEntries(fd); err != nil {
			return fileError("list", c.fds, err)
		}
	}
	dst.Add(processOpenFDs, float64(n-1))
	return nil
}

// countEntries counts the entries of a directory but "." and "..".
func (r *reader) countEntries(fd int) (int64, error) {
	if len(r.buf) == 0 {
		r.grow()
	}
	total := int64(-2)
	for {
		n, err := unix.ReadDirent(fd, r.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return total, nil
		}
		total += direntsIn(r.buf[:n])
	}
}

// direntsIn counts the records of struct linux_dirent64: inode and offset, 8
// bytes each, the length of the record, 2 bytes, and more.
func direntsIn(records []byte) (n int64) {
	const lengthAt, shortest = 16, 19
	for len(records) >= shortest {
		length := int(binary.NativeEndian.Uint16(records[lengthAt:]))
		if length < shortest || length > len(records) {
			break
		}
		records = records[length:]
		n++
	}
	return n
}

// addLimits asks the kernel for what /proc/self/limits would print.
func (c *process) addLimits(dst *metric.Buffer) error {
	l := &c.limits
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &l.files), unix.Getrlimit(unix.RLIMIT_AS, &l.space)); err != nil {
		return fmt.Errorf("read limits: %w", err)
	}
	dst.Add(processMaxFDs, float64(l.files.Cur))
	dst.Add(processVirtualMax, float64(l.space.Cur))
	return nil
}

func (c *process) addNetwork(dst *metric.Buffer) error {
	text, err := c.read(c.netstat)
	if err != nil {
		return unlessAbsent(err)
	}
	received, sent, err := parseOctets(c.netstat, text)
	if err != nil {
		return err
	}
	dst.Add(processReceived, float64(received))
	dst.Add(processSent, float64(sent))
	return nil
}

// parseOctets finds InOctets and OutOctets in /proc/net/netstat, whose lines
// come in pairs: "IpExt: InOctets OutOctets ..." and "IpExt: 12 34 ...".
func parseOctets(f file, text []byte) (in, out uint64, err error) {
	l := lines{file: f, rest: text}
	prefix := []byte("IpExt:")
	for l.next() {
		names, ok := bytes.CutPrefix(l.text, prefix)
		if !ok || !l.next() {
			continue
		}
		values, ok := bytes.CutPrefix(l.text, prefix)
		if !ok {
			l.reject("the values of IpExt")
			continue
		}
		in, out, ok = octets(names, values)
		if !ok {
			l.reject("as many numbers as there are names")
		}
		break
	}
	return in, out, l.end()
}

func octets(names, values []byte) (in, out uint64, ok bool) {
	for {
		var name []byte
		name, names = cutField(names)
		if len(name) == 0 {
			return in, out, true
		}
		var v uint64
		if v, values, ok = cutUint(values); !ok {
			return 0, 0, false
		}
		switch string(name) {
		case "InOctets":
			in = v
		case "OutOctets":
			out = v
		}
	}
}
