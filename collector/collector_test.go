package collector

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

// hostWith is a host of which only these files exist, given by their path
// below proc, sys or udev.
func hostWith(t testing.TB, files map[string]string) *host {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &host{
		Paths:  Paths{Procfs: filepath.Join(dir, "proc"), Sysfs: filepath.Join(dir, "sys"), Rootfs: "/", UdevData: filepath.Join(dir, "udev")},
		statfs: func(string, *unix.Statfs_t) error { return nil },
		uname:  unix.Uname,
		zone:   time.UTC,
	}
}

// rewrite replaces a file of a host made by hostWith.
func rewrite(t testing.TB, h *host, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(h.Procfs), path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// makeOne makes one collector of h.
func makeOne(t testing.TB, h *host, name string, o Options) Collector {
	t.Helper()
	collectors, err := makeAll([]string{name}, h, o)
	if err != nil {
		t.Fatal(err)
	}
	return collectors[0]
}

// wantError fails unless err tells every text.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q, want one with %q", err, text)
		}
	}
}

// wantSeries fails unless got has these series with these values.
func wantSeries(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s = %v (shown: %v), want %v", name, g, ok, v)
		}
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New([]string{"cpu", "filesystem", "nosuch", "diskstats", "netdev", "netdev"}, Paths{}, Options{
		CPU:        CPUOptions{InfoFlagsInclude: ptr("("), InfoBugsInclude: ptr("[")},
		Diskstats:  DiskstatsOptions{DeviceInclude: ptr("sd."), DeviceExclude: ptr("hd.")},
		Filesystem: FilesystemOptions{MountPointsExclude: ptr("(a"), FSTypesInclude: ptr("*"), MountTimeout: -time.Second},
		Netdev:     NetdevOptions{DeviceInclude: ptr(`\p`)},
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"collectors.cpu.info_flags_include: not a regular expression",
		"collectors.cpu.info_bugs_include: not a regular expression",
		"collectors.filesystem.mount_points_exclude: not a regular expression",
		"collectors.filesystem.fs_types_include: not a regular expression",
		"collectors.filesystem.mount_timeout: -1s is negative",
		"collectors.nosuch: no such collector; there are cpu, meminfo",
		"collectors.diskstats.device_include: cannot be combined with device_exclude",
		"collectors.netdev.device_include: not a regular expression",
		"collectors.netdev: named twice",
	}
	got := strings.Split(err.Error(), "\n")
	for _, w := range want {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, w) }) {
			t.Errorf("no problem %q in\n%v", w, err)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d:\n%v", len(got), len(want), err)
	}
}

func TestNewKeepsTheOrderOfNames(t *testing.T) {
	names := []string{"go", "cpu", "uname"}
	collectors, err := New(names, Paths{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range collectors {
		got = append(got, c.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("New(%q) made %q", names, got)
	}
}

func TestPathsOrUsual(t *testing.T) {
	got := Paths{Procfs: "/host/proc/", Rootfs: "/host/"}.orUsual()
	want := Paths{Procfs: "/host/proc", Sysfs: "/sys", Rootfs: "/host", UdevData: "/run/udev/data", Runfs: "/run"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Names, types and units are the contract with dashboards and receivers.
func TestDescs(t *testing.T) {
	seen := make(map[string]string)
	for _, d := range allDescs(t) {
		if owner, ok := seen[d.desc.Name]; ok {
			t.Errorf("%s belongs to %s and %s", d.desc.Name, owner, d.collector)
		}
		seen[d.desc.Name] = d.collector
		if d.desc.Help == "" || !strings.HasSuffix(d.desc.Help, ".") {
			t.Errorf("%s: help %q is no sentence", d.desc.Name, d.desc.Help)
		}
		if got, want := d.desc.Unit, unitOf(d.desc.FamilyName()); got != want {
			t.Errorf("%s: unit %q, want %q", d.desc.Name, got, want)
		}
		total := strings.HasSuffix(d.desc.Name, "_total")
		if counter := d.desc.Type == metric.Counter; counter != total {
			t.Errorf("%s: type %v", d.desc.Name, d.desc.Type)
		}
	}
}

// unitOf returns the base unit a name ends in.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

type ownedDesc struct {
	collector string
	desc      *metric.Desc
}

func allDescs(t *testing.T) []ownedDesc {
	collectors, err := New(Names(), Paths{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []ownedDesc
	for _, c := range collectors {
		for _, d := range c.Descs() {
			all = append(all, ownedDesc{c.Name(), d})
		}
	}
	return all
}

// Whatever a collector shows, it announces.
func TestCollectUsesItsDescs(t *testing.T) {
	o := Options{CPU: CPUOptions{Info: true, InfoFlagsInclude: ptr("."), InfoBugsInclude: ptr(".")}, Netdev: NetdevOptions{AddressInfo: true}}
	for _, h := range []*host{recorded(), realHost(nil)} {
		collectors, err := makeAll(Names(), h, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range collectors {
			var dst metric.Buffer
			_ = c.Collect(t.Context(), time.Now(), &dst)
			descs := c.Descs()
			for _, s := range dst.Samples() {
				if !slices.Contains(descs, s.Desc) {
					t.Errorf("%s shows %s, which is not among its Descs", c.Name(), s.Desc.Name)
				}
			}
		}
	}
}

// needRoot skips a test that an ordinary user cannot run; in CI, where it must
// not be missing, it fails instead.
func needRoot(t *testing.T, what string) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal(what + " takes root, and CI must run this")
	default:
		t.Skip(what + " takes root")
	}
}

// A kernel without any of the files has the features off; but without those
// that every Linux has, the root is wrong and the collector says so.
func TestMissingFiles(t *testing.T) {
	o := Options{CPU: CPUOptions{Info: true}}
	required := map[string]string{"cpu": "proc/stat", "meminfo": "proc/meminfo", "loadavg": "proc/loadavg",
		"filesystem": "proc/self/mountinfo", "netdev": "proc/net/dev"}
	for _, name := range hostNames() {
		if name == "uname" {
			continue
		}
		c := makeOne(t, hostWith(t, nil), name, o)
		got, err := collectOnce(t, c)
		if file := required[name]; (err != nil) != (file != "") || err != nil && !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v, want one about %q", name, err, file)
		}
		for series := range got {
			if !strings.HasPrefix(series, "node_time_") {
				t.Errorf("%s shows %s of nothing", name, series)
			}
		}
	}
}

// What is wrong in a file is said with file and line, and the rest is shown.
func TestMalformedFiles(t *testing.T) {
	const netHead = "Inter-| Receive\n face |bytes\n"
	zeros := strings.Repeat(" 0", 16)
	tests := []struct {
		name, collector, file, text string
		err                         []string
		shown                       map[string]float64
	}{
		{"empty", "meminfo", "proc/meminfo", "", []string{"/proc/meminfo: empty"}, nil},
		{"no number", "meminfo", "proc/meminfo", "MemTotal: x kB\nMemFree: 2 kB\n", []string{"/proc/meminfo:1", "MemTotal: x kB"}, map[string]float64{"node_memory_MemFree_bytes": 2048}},
		{"no value", "meminfo", "proc/meminfo", "MemFree: 2 kB\nMemTotal:\n", []string{"/proc/meminfo:2"}, map[string]float64{"node_memory_MemFree_bytes": 2048}},
		{"blank line", "meminfo", "proc/meminfo", "\nMemFree: 2 kB\n", []string{"/proc/meminfo:1"}, map[string]float64{"node_memory_MemFree_bytes": 2048}},
		{"unknown unit", "meminfo", "proc/meminfo", "MemFree: 2 MB\n", []string{"/proc/meminfo:1"}, nil},
		{"too large for bytes", "meminfo", "proc/meminfo", "MemFree: 18014398509481984 kB\n", []string{"/proc/meminfo:1"}, nil},
		{"cut off", "meminfo", "proc/meminfo", "MemFree: 2 kB\nMemTotal: 12", []string{"/proc/meminfo:2", "cut off"}, map[string]float64{"node_memory_MemFree_bytes": 2048}},
		{"twice", "meminfo", "proc/meminfo", "MemFree: 2 kB\nMemFree: 3 kB\n", []string{"/proc/meminfo:2", "once"}, map[string]float64{"node_memory_MemFree_bytes": 2048}},
		{"many bad lines", "meminfo", "proc/meminfo", strings.Repeat("x\n", 1000), []string{"/proc/meminfo:1", "999 more"}, nil},
		{"empty", "loadavg", "proc/loadavg", "", []string{"/proc/loadavg: empty"}, nil},
		{"two numbers", "loadavg", "proc/loadavg", "0.1 0.2\n", []string{"/proc/loadavg:1"}, map[string]float64{"node_load1": 0.1, "node_load5": 0.2}},
		{"nan", "loadavg", "proc/loadavg", "nan 0.2 0.3 1/2 3\n", []string{"/proc/loadavg:1"}, nil},
		{"empty", "cpu", "proc/stat", "", []string{"/proc/stat: empty"}, nil},
		{"no cpu", "cpu", "proc/stat", "intr 0\n", []string{"/proc/stat: no line of a CPU"}, nil},
		{"three columns", "cpu", "proc/stat", "cpu0 1 2 3\ncpu1 1 2 3 400\nintr 0\n", []string{"/proc/stat:1"}, map[string]float64{`node_cpu_seconds_total{cpu="1",mode="idle"}`: 4}},
		{"cpu twice", "cpu", "proc/stat", "cpu0 1 2 3 400\ncpu0 1 2 3 500\n", []string{"/proc/stat:2", "once"}, map[string]float64{`node_cpu_seconds_total{cpu="0",mode="idle"}`: 4}},
		{"cpux", "cpu", "proc/stat", "cpux 1 2 3 4\ncpu1 1 2 3 400\n", []string{"/proc/stat:1"}, map[string]float64{`node_cpu_seconds_total{cpu="1",mode="idle"}`: 4}},
		{"isolated", "cpu", "sys/devices/system/cpu/isolated", "3-1\n", []string{"/isolated", "0-3,8"}, nil},
		{"ten columns", "diskstats", "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10\n 8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n", []string{"/proc/diskstats:1"}, map[string]float64{`node_disk_io_now{device="sdb"}`: 9}},
		{"no number", "diskstats", "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12x 13 14 15\n", []string{"/proc/diskstats:1"}, nil},
		{"twice", "diskstats", "proc/diskstats", strings.Repeat("8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n", 2), []string{"/proc/diskstats:2", "once"}, map[string]float64{`node_disk_io_now{device="sda"}`: 9}},
		{"no heading", "netdev", "proc/net/dev", "", []string{"/proc/net/dev: empty"}, nil},
		{"fifteen columns", "netdev", "proc/net/dev", netHead + "eth0:" + zeros[2:] + "\nlo:" + zeros + "\n", []string{"/proc/net/dev:3"}, map[string]float64{`node_network_receive_bytes_total{device="lo"}`: 0}},
		{"no colon", "netdev", "proc/net/dev", netHead + "eth0" + zeros + "\n", []string{"/proc/net/dev:3"}, nil},
		{"twice", "netdev", "proc/net/dev", netHead + "lo:" + zeros + "\nlo:" + zeros + "\n", []string{"/proc/net/dev:4", "once"}, nil},
		{"short line", "filesystem", "proc/self/mountinfo", "22 27 0:21 / /proc rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n", []string{"/proc/self/mountinfo:1"}, map[string]float64{`node_filesystem_device_error{device="/dev/vda",mountpoint="/",fstype="ext4"}`: 0}},
		{"empty", "filesystem", "proc/1/mountinfo", "", []string{"/proc/1/mountinfo: empty"}, nil},
		{"empty", "time", "sys/devices/system/clocksource/clocksource0/current_clocksource", "\n", []string{"current_clocksource"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.collector+" "+tt.name, func(t *testing.T) {
			got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{tt.file: tt.text}), tt.collector, Options{}))
			wantError(t, err, tt.err...)
			wantSeries(t, got, tt.shown)
		})
	}
}

// A collector whose file got worse and better again carries on.
func TestRecovery(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/loadavg": "1.00 2.00 3.00 1/2 3\n"})
	c := makeOne(t, h, "loadavg", Options{})
	for i, text := range []string{"", "garbage\n", "1.00 2.00 4.00 1/2 3\n"} {
		rewrite(t, h, "proc/loadavg", text)
		got, err := collectOnce(t, c)
		if good := i == 2; (err == nil) != good || (got["node_load15"] == 4) != good {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}
