package collector

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"nodepush/metric"
)

// filesystem shows the space and the inodes of mounted file systems.
// https://docs.kernel.org/filesystems/proc.html (mountinfo), https://man7.org/linux/man-pages/man2/statfs.2.html
//
// The mounts are those of process 1, so that the agent may live in a mount
// namespace of its own. Lines of mountinfo hardly ever change: each is parsed
// when it is first met, and known by its text from then on.
type filesystem struct {
	reader
	files  [2]file // mountinfo of process 1, or of this one where that is hidden
	root   string
	shows  func(mountID) bool
	lines  roster[mountLine]
	mounts map[mountID]*mount
	round  []*mount // of the current round, in the order of the file
	asker  asker
}

// mountLine is what is kept of a line of mountinfo.
type mountLine struct {
	mountInfo
	ok    bool
	mount *mount // nil if it is not shown
}

func filesystemGauge(name, unit, help string) *metric.Desc {
	return &metric.Desc{
		Name: "node_filesystem_" + name, Type: metric.Gauge, Unit: unit, Help: help,
		Labels: []string{"device", "mountpoint", "fstype", "device_error"},
	}
}

var (
	fsSize        = filesystemGauge("size_bytes", "bytes", "Size of the file system.")
	fsFree        = filesystemGauge("free_bytes", "bytes", "Space that is free, root's reserve included.")
	fsAvail       = filesystemGauge("avail_bytes", "bytes", "Space that is free for users other than root.")
	fsFiles       = filesystemGauge("files", "", "Inodes of the file system; 0 if it makes them as needed.")
	fsFilesFree   = filesystemGauge("files_free", "", "Inodes that are free.")
	fsReadonly    = filesystemGauge("readonly", "", "Whether nothing can be written, because of the mount or of the file system itself.")
	fsDeviceError = filesystemGauge("device_error", "", "Whether the file system could not be asked; label device_error says why.")
	fsMountInfo   = &metric.Desc{
		Name: "node_filesystem_mount_info", Type: metric.Gauge, Labels: []string{"device", "major", "minor", "mountpoint"},
		Help: "Always 1; the labels join a mount with the number of its device.",
	}
)

// timeoutError is node_exporter's text, which alerts look for.
const timeoutError = "mountpoint timeout"

func newFilesystem(h *host, o Options) (Collector, error) {
	const key = "collectors.filesystem."
	fs := o.Filesystem
	points, err1 := newFilter(key+"mount_points", fs.MountPointsInclude, fs.MountPointsExclude, usualMountPointExclude)
	types, err2 := newFilter(key+"fs_types", fs.FSTypesInclude, fs.FSTypesExclude, usualFSTypeExclude)
	var err3 error
	if fs.MountTimeout < 0 {
		err3 = fmt.Errorf("%smount_timeout: %s is negative; give a duration such as 5s, or 0 for %s", key, fs.MountTimeout, usualMountTimeout)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	timeout := fs.MountTimeout
	if timeout == 0 {
		timeout = usualMountTimeout
	}
	c := &filesystem{
		reader: h.reader(),
		files:  [2]file{fileAt(h.Procfs, "1/mountinfo"), fileAt(h.Procfs, "self/mountinfo")},
		root:   h.Rootfs,
		shows:  func(m mountID) bool { return points.shows(m.point) && types.shows(m.fstype) },
		mounts: make(map[mountID]*mount),
		asker:  asker{statfs: h.statfs, timeout: timeout},
	}
	c.lines.make = c.parse
	return c, nil
}

func (c *filesystem) Name() string { return "filesystem" }

func (c *filesystem) Descs() []*metric.Desc {
	return []*metric.Desc{fsSize, fsFree, fsAvail, fsFiles, fsFilesFree, fsReadonly, fsDeviceError, fsMountInfo}
}

func (c *filesystem) Collect(ctx context.Context, _ time.Time, dst *metric.Buffer) error {
	errList := c.list()
	errAsk := c.asker.ask(ctx, c.round)
	for _, m := range c.round {
		switch {
		case m.answered && m.err == nil:
			addSpace(m, dst)
		case m.answered:
			addError(m, label(m.err.Error()), dst)
		case errAsk == nil:
			addError(m, timeoutError, dst)
		}
	}
	return errors.Join(errList, errAsk)
}

func addError(m *mount, text string, dst *metric.Buffer) {
	dst.Add(fsDeviceError, 1, m.device, m.point, m.fstype, text)
	dst.Add(fsReadonly, oneIf(m.readonly), m.device, m.point, m.fstype, text)
}

func addSpace(m *mount, dst *metric.Buffer) {
	add := func(d *metric.Desc, v float64) { dst.Add(d, v, m.device, m.point, m.fstype, "") }
	block := float64(m.stat.Bsize)
	add(fsSize, float64(m.stat.Blocks)*block)
	add(fsFree, float64(m.stat.Bfree)*block)
	add(fsAvail, float64(m.stat.Bavail)*block)
	add(fsFiles, float64(m.stat.Files))
	add(fsFilesFree, float64(m.stat.Ffree))
	add(fsReadonly, oneIf(m.readonly))
	add(fsDeviceError, 0)
	dst.Add(fsMountInfo, 1, m.device, m.major, m.minor, m.point)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// list fills c.round with the mounts that are shown.
func (c *filesystem) list() error {
	c.round = c.round[:0]
	f := c.files[0]
	text, err := c.read(f)
	if err != nil { // absent or forbidden, by hidepid
		f = c.files[1]
		text, err = c.read(f)
	}
	if err != nil {
		return required(f, err)
	}
	l := lines{file: f, rest: text}
	c.lines.begin()
	for l.next() {
		m, _ := c.lines.meet(l.text)
		switch {
		case !m.kept.ok:
			l.reject("a mount as in proc_pid_mountinfo(5)")
		case m.kept.mount != nil:
			c.addMount(&m.kept)
		}
	}
	c.lines.end()
	c.forget()
	return l.end()
}

// addMount puts the mount on the list of the round. Of several lines for the
// same device, mount point and type the last one holds: it lies above the others.
func (c *filesystem) addMount(l *mountLine) {
	m := l.mount
	m.mountInfo = l.mountInfo
	if m.round != c.lines.round {
		m.round = c.lines.round
		c.round = append(c.round, m)
	}
}

// forget drops the mounts that are gone. One whose call hangs is kept: should
// it come back, it must not be asked twice at a time.
func (c *filesystem) forget() {
	if len(c.mounts) == len(c.round) {
		return
	}
	for id, m := range c.mounts {
		if m.round != c.lines.round && !c.asker.busy(m) {
			delete(c.mounts, id)
		}
	}
}

// parse makes what is kept of a new line.
func (c *filesystem) parse(line string) mountLine {
	info, ok := parseMountinfoLine(line)
	if !ok {
		return mountLine{}
	}
	info.raw = below(c.root, info.raw)
	info.point = label(info.raw)
	if !c.shows(info.mountID) {
		return mountLine{ok: true}
	}
	m := c.mounts[info.mountID]
	if m == nil {
		m = &mount{path: filepath.Join(c.root, info.raw), remote: remote(info.fstype)}
		c.mounts[info.mountID] = m
	}
	return mountLine{mountInfo: info, ok: true, mount: m}
}
