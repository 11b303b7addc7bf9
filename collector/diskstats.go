package collector

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"nodepush/metric"
)

// diskstats shows what block devices did, and with udev.go what they are.
// https://docs.kernel.org/admin-guide/iostats.html
type diskstats struct {
	reader
	file  file
	disks roster[disk]
	udev  udev
}

// disk is what is kept of a device; nothing when it is not shown.
type disk struct {
	shown        bool
	rotational   file
	major, minor uint64 // when the next three were made
	number       [2]string
	properties   file // of udev
}

// diskColumn is a column of /proc/diskstats after the device's name.
type diskColumn struct {
	desc  *metric.Desc
	scale float64 // from the kernel's unit to the metric's
}

// Units of the kernel. A sector has 512 bytes whatever the device says.
const (
	sector      = 512
	millisecond = 0.001
)

// diskFewest columns are there since Linux 2.6; 4.18 added discards, 5.5 flushes.
const diskFewest = 11

var diskColumns = [...]diskColumn{
	diskCounter("reads_completed_total", "", "Reads that were completed.", 1),
	diskCounter("reads_merged_total", "", "Reads that were merged with a neighbour before they reached the device.", 1),
	diskCounter("read_bytes_total", "bytes", "What was read.", sector),
	diskCounter("read_time_seconds_total", "seconds", "Time that all reads took, summed up over reads.", millisecond),
	diskCounter("writes_completed_total", "", "Writes that were completed.", 1),
	diskCounter("writes_merged_total", "", "Writes that were merged with a neighbour before they reached the device.", 1),
	diskCounter("written_bytes_total", "bytes", "What was written.", sector),
	diskCounter("write_time_seconds_total", "seconds", "Time that all writes took, summed up over writes.", millisecond),
	{&metric.Desc{Name: "node_disk_io_now", Type: metric.Gauge, Labels: deviceLabel, Help: "Requests in progress."}, 1},
	diskCounter("io_time_seconds_total", "seconds", "Time during which at least one request was in progress.", millisecond),
	diskCounter("io_time_weighted_seconds_total", "seconds", "Time that requests were in progress, summed up over requests.", millisecond),
	diskCounter("discards_completed_total", "", "Discards that were completed.", 1),
	diskCounter("discards_merged_total", "", "Discards that were merged with a neighbour before they reached the device.", 1),
	diskCounter("discarded_sectors_total", "", "Sectors of 512 bytes that were discarded.", 1),
	diskCounter("discard_time_seconds_total", "seconds", "Time that all discards took, summed up over discards.", millisecond),
	diskCounter("flush_requests_total", "", "Flushes that were completed.", 1),
	diskCounter("flush_requests_time_seconds_total", "seconds", "Time that all flushes took, summed up over flushes.", millisecond),
}

var deviceLabel = []string{"device"}

func diskCounter(name, unit, help string, scale float64) diskColumn {
	return diskColumn{&metric.Desc{Name: "node_disk_" + name, Type: metric.Counter, Unit: unit, Labels: deviceLabel, Help: help}, scale}
}

func newDiskstats(h *host, o Options) (Collector, error) {
	const key = "collectors.diskstats.device"
	devices, err := newFilter(key, o.Diskstats.DeviceInclude, o.Diskstats.DeviceExclude, usualDeviceExclude)
	if err != nil {
		return nil, err
	}
	return &diskstats{
		reader: h.reader(),
		file:   fileAt(h.Procfs, "diskstats"),
		disks:  roster[disk]{make: func(name string) disk { return newDisk(h, name, devices.shows(name)) }},
		udev:   udev{reader: h.reader(), dir: h.UdevData},
	}, nil
}

func newDisk(h *host, name string, shown bool) disk {
	if !shown {
		return disk{}
	}
	name = strings.ReplaceAll(name, "/", "!") // as sysfs writes cciss/c0d0
	return disk{shown: true, rotational: fileAt(h.Sysfs, "block", name, "queue/rotational")}
}

func (c *diskstats) Name() string { return "diskstats" }

func (c *diskstats) Descs() []*metric.Desc {
	descs := []*metric.Desc{diskInfo}
	for i := range diskColumns {
		descs = append(descs, diskColumns[i].desc)
	}
	return append(descs, diskFilesystem, diskMapper, ataWriteCache, ataWriteCacheEnabled, ataRotationRate)
}

func (c *diskstats) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	text, err := c.read(c.file)
	if err != nil || len(text) == 0 { // empty in a container without block devices
		return unlessAbsent(err)
	}
	l := lines{file: c.file, rest: text}
	var problems []error
	c.disks.begin()
	for l.next() {
		if err := c.addLine(&l, dst); err != nil {
			problems = append(problems, err)
		}
	}
	if l.bad == 0 {
		c.disks.end()
	}
	if err := l.end(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// addLine returns what is wrong with the device's files; what is wrong with
// the line itself is left to l.
func (c *diskstats) addLine(l *lines, dst *metric.Buffer) error {
	line, ok := parseDiskstatsLine(l.text)
	if !ok {
		l.reject("major, minor, name and at least 11 numbers")
		return nil
	}
	m, again := c.disks.meet(line.name)
	if again {
		l.reject("every device once")
		return nil
	}
	if !m.kept.shown {
		return nil
	}
	for i, v := range line.columns[:line.n] {
		dst.Add(diskColumns[i].desc, float64(v)*diskColumns[i].scale, m.name)
	}
	m.kept.identify(line.major, line.minor, c.udev.dir)
	return c.udev.add(m.name, &m.kept, dst)
}

// identify keeps what follows from the device's number.
func (d *disk) identify(major, minor uint64, udevData string) {
	if d.properties != "" && d.major == major && d.minor == minor {
		return
	}
	d.major, d.minor = major, minor
	d.number = [2]string{strconv.FormatUint(major, 10), strconv.FormatUint(minor, 10)}
	d.properties = fileAt(udevData, "b"+d.number[0]+":"+d.number[1])
}

type diskLine struct {
	major, minor uint64
	name         []byte
	columns      [len(diskColumns)]uint64
	n            int // columns that the kernel has
}

// parseDiskstatsLine splits "  8  0 sda 4 0 23 2 0 0 0 0 0 1 2 ...". Columns
// that a later kernel may append are left out.
func parseDiskstatsLine(text []byte) (line diskLine, ok bool) {
	major, rest, ok1 := cutUint(text)
	minor, rest, ok2 := cutUint(rest)
	name, rest := cutField(rest)
	if !ok1 || !ok2 || len(name) == 0 {
		return line, false
	}
	line.major, line.minor, line.name = major, minor, name
	for line.n < len(line.columns) {
		v, left, ok := cutUint(rest)
		if !ok {
			break
		}
		line.columns[line.n], rest = v, left
		line.n++
	}
	extra, _ := cutField(rest)
	complete := line.n == len(line.columns) || len(extra) == 0
	return line, complete && line.n >= diskFewest
}
