package collector

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

func TestParseProcessStat(t *testing.T) {
	const fields = " S 1 2 3 0 -1 4194560 5 6 7 8 114 215 9 10 20 0 5 0 1622 823 924 18446744073709551615 1\n"
	want := processStat{user: 114, system: 215, start: 1622, virtual: 823, resident: 924}
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"plain", "42 (nodepush)" + fields, true},
		{"spaces and parentheses", "42 (a) b (c) 1 2 3)" + fields, true},
		{"no name", "42 nodepush" + fields, false},
		{"cut off", "42 (nodepush) S 1 2 3", false},
		{"negative", "42 (nodepush)" + strings.Replace(fields, "924", "-924", 1), false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseProcessStat([]byte(tt.in))
			if ok != tt.ok || ok && got != want {
				t.Errorf("parseProcessStat(%q) = %+v, %v", tt.in, got, ok)
			}
		})
	}
}

func FuzzParseProcessStat(f *testing.F) {
	f.Add([]byte("42 (a) S 1 2 3 0 -1 4194560 5 6 7 8 114 215 9 10 20 0 5 0 1622 823 924\n"))
	f.Fuzz(func(t *testing.T, text []byte) { parseProcessStat(text) })
}

func TestParseOctets(t *testing.T) {
	const tcp = "TcpExt: SyncookiesSent InOctets\nTcpExt: 1 2\n"
	tests := []struct {
		name, in string
		in64     uint64
		out64    uint64
		err      string
	}{
		{"plain", tcp + "IpExt: InNoRoutes InOctets OutOctets New\nIpExt: 5 118 600 1\nMPTcpExt: a\nMPTcpExt: 1\n", 118, 600, ""},
		{"without IP", tcp, 0, 0, ""},
		{"fewer values", "IpExt: InOctets OutOctets\nIpExt: 5\n", 0, 0, "netstat:2"},
		{"no values", "IpExt: InOctets OutOctets\nTcpExt: 5 6\n", 0, 0, "netstat:2"},
		{"at the end", "IpExt: InOctets OutOctets\n", 0, 0, ""},
		{"no number", "IpExt: InOctets OutOctets\nIpExt: 5 x\n", 0, 0, "netstat:2"},
		{"empty", "", 0, 0, "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, out, err := parseOctets(fileAt("netstat"), []byte(tt.in))
			if in != tt.in64 || out != tt.out64 || (err == nil) != (tt.err == "") {
				t.Errorf("got %d, %d, %v", in, out, err)
			}
			if tt.err != "" {
				wantError(t, err, tt.err)
			}
		})
	}
}

func FuzzParseOctets(f *testing.F) {
	f.Add([]byte("IpExt: InOctets OutOctets\nIpExt: 5 6\n"))
	f.Add([]byte("IpExt:\nIpExt: 5\nIpExt: InOctets"))
	f.Fuzz(func(t *testing.T, text []byte) { _, _, _ = parseOctets(fileAt("netstat"), text) })
}

func TestProcessIsThisOne(t *testing.T) {
	before := time.Now()
	c := makeOne(t, hostWith(t, nil), "process", Options{}) // Paths do not matter
	got, err := collectOnce(t, c)
	if err != nil || len(got) != 9 {
		t.Fatalf("got %v, %v", got, err)
	}
	start := got["process_start_time_seconds"]
	if age := float64(before.UnixMilli())/1000 - start; age < -1.1 || age > 3600 {
		t.Errorf("started %v s ago", age)
	}
	if boot := btime(t); start < boot {
		t.Errorf("started at %v, before the host booted (%v)", start, boot)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	wantSeries(t, got, map[string]float64{"process_max_fds": float64(limit.Cur)})
	t.Run("memory", func(t *testing.T) { // make test-cross leaves it out: in qemu-user's /proc/self/stat memory is 0
		if rss, size := got["process_resident_memory_bytes"], got["process_virtual_memory_bytes"]; rss < 1<<20 || rss > size {
			t.Errorf("resident %v, virtual %v", rss, size)
		}
	})
}

// Times of /proc are in ticks of USER_HZ, memory in pages: what the kernel
// tells each program of both (getauxval(3)) is what the collectors reckon with.
func TestTicksAndPages(t *testing.T) {
	const pageSize, clockTicks = 6, 17 // AT_PAGESZ, AT_CLKTCK
	told := make(map[uintptr]uintptr)
	vector, err := unix.Auxv()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vector {
		told[v[0]] = v[1]
	}
	if told[clockTicks] != ticks || told[pageSize] != uintptr(os.Getpagesize()) {
		t.Errorf("the kernel has %d ticks a second and pages of %d bytes, this program %d and %d",
			told[clockTicks], told[pageSize], ticks, os.Getpagesize())
	}
}

// btime is the boot time as /proc/stat has it.
func btime(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\nbtime "))
	digits, _, _ := bytes.Cut(rest, newline)
	v, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The boot time is that of /proc/stat, and steady.
func TestBootTime(t *testing.T) {
	var b bootTime
	first, err := b.read()
	if err != nil {
		t.Fatal(err)
	}
	if want := btime(t); math.Abs(first-want) > 1 {
		t.Errorf("got %v, /proc/stat has %v", first, want)
	}
	for range 1000 {
		if again, _ := b.read(); again != first {
			t.Fatalf("%v became %v", first, again)
		}
	}
	b = bootTime{known: true, exact: b.exact - 0.3, seconds: 42}
	if again, _ := b.read(); again != 42 {
		t.Errorf("after a small slew: %v, want no change", again)
	}
	b.exact -= 7 // as if the clock had been stepped since
	if again, _ := b.read(); again != first {
		t.Errorf("after a step: %v, want %v", again, first)
	}
}

func TestProcessOpenFDs(t *testing.T) {
	c := makeOne(t, hostWith(t, nil), "process", Options{}).(*process)
	count := func() float64 {
		var dst metric.Buffer
		if err := c.addFDs(&dst); err != nil {
			t.Fatal(err)
		}
		return dst.Samples()[0].Value
	}
	before := count()
	if entries, err := os.ReadDir("/proc/self/fd"); err != nil || float64(len(entries)-1) != before { // one is ReadDir's own
		t.Errorf("%v descriptors, ReadDir finds %d, %v", before, len(entries)-1, err)
	}
	for range 3 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if got := count(); got != before+3 {
		t.Errorf("%v descriptors, with 3 more %v", before, got)
	}
}

// Before Linux 6.2 the entries are counted.
func TestCountEntries(t *testing.T) {
	dir := t.TempDir()
	const files = 800 // more than one buffer of the reader holds
	for i := range files {
		if err := os.WriteFile(dir+"/"+strconv.Itoa(i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var r reader
	fd, err := r.open(fileAt(dir), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, err := r.countEntries(fd); err != nil || got != files {
		t.Errorf("got %d, %v", got, err)
	}
}

func FuzzDirents(f *testing.F) {
	record := make([]byte, 24)
	binary.NativeEndian.PutUint16(record[16:], 24)
	f.Add(append(record, record...))
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, records []byte) {
		if n := direntsIn(records); n < 0 || n > int64(len(records)/19) {
			t.Errorf("%d entries in %d bytes", n, len(records))
		}
	})
}
