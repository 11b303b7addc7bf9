package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

const (
	benchInterval = 5 * time.Second
	benchWindow   = 60 * time.Second
	benchOffline  = 60 * time.Second
)

// usage is what the kernel has accounted to some processes.
type usage struct {
	cpu, user, system time.Duration // cpu is exact, user and system are sampled by the tick
	rss, anon         int64
}

// measure adds up the processes. CPU comes from their CPU clocks
// (clock_getcpuclockid(3), nanoseconds); user and system share it in the
// proportion of /proc/PID/stat, which counts in ticks.
func measure(t testing.TB, processes ...*process) (sum usage) {
	t.Helper()
	for _, p := range processes {
		dir := fmt.Sprintf("/proc/%d/", p.Process.Pid)
		var cpu unix.Timespec
		const sched = 2 // CPUCLOCK_SCHED: what the scheduler gave, all threads
		if err := unix.ClockGettime(int32(^p.Process.Pid<<3|sched), &cpu); err != nil {
			t.Fatalf("%s: CPU clock: %v", p.Path, err)
		}
		stat, _ := os.ReadFile(dir + "stat")
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		sum.cpu += time.Duration(cpu.Nano())
		sum.user += time.Duration(user) * 10 * time.Millisecond
		sum.system += time.Duration(system) * 10 * time.Millisecond
		sum.rss += number(t, dir+"status", "VmRSS:") << 10
		sum.anon += number(t, dir+"status", "RssAnon:") << 10
	}
	return sum
}

// number returns the first number behind key in a file of "key value" lines.
func number(t testing.TB, file, key string) int64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, line, err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", file, key)
	return 0
}

// stack is a set of programs that deliver to a sink.
type stack struct {
	name  string
	queue string // directory that holds what was not delivered
	start func(url string) []*process
}

// row is what a stack showed in the window.
type row struct {
	name, protocol  string
	series, samples int64
	usage           usage
	wire, wal       float64 // bytes per sample; wal while the sink was down
	allocs          float64 // per round; 0 where unknown
	requests        int64
	offline         int64 // samples collected while the sink was down
}

// run lets the stack deliver for the window and then queue while the sink is down.
func (st stack) run(t testing.TB) (r row) {
	t.Helper()
	s := &sink{}
	server := httptest.NewServer(s)
	defer server.Close()
	processes := st.start(server.URL + "/api/v1/write")
	eventually(t, 60*time.Second, st.name+" delivers", func() error {
		if s.requests.Load() < 3 {
			return fmt.Errorf("%d requests", s.requests.Load())
		}
		return nil
	})
	time.Sleep(2 * benchInterval) // past the start

	before, samples, wire := measure(t, processes...), s.samples.Load(), s.bytes.Load()
	mallocs, _ := s.value("go_memstats_mallocs_total")
	requests := s.requests.Load()
	time.Sleep(benchWindow)
	after := measure(t, processes...)
	r = row{name: st.name, samples: s.samples.Load() - samples, requests: s.requests.Load() - requests}
	r.usage = usage{cpu: after.cpu - before.cpu, user: after.user - before.user, system: after.system - before.system, rss: after.rss, anon: after.anon}
	r.wire = float64(s.bytes.Load()-wire) / float64(r.samples)
	later, _ := s.value("go_memstats_mallocs_total")
	r.allocs = (later - mallocs) / float64(benchWindow/benchInterval)
	r.protocol = "1.0"
	if all := s.received(); all[len(all)-1].v2 {
		r.protocol = "2.0"
	}
	r.series = r.samples / int64(benchWindow/benchInterval)

	queued := size(t, st.queue)
	s.down.Store(true)
	time.Sleep(benchOffline)
	for _, p := range processes {
		p.stop(t, syscall.SIGTERM, 30*time.Second) // what was in memory is on disk now
	}
	r.offline = r.series * int64(benchOffline/benchInterval)
	r.wal = float64(size(t, st.queue)-queued) / float64(r.offline)
	return r
}

// size is the number of bytes in the files below dir.
func size(t testing.TB, dir string) (sum int64) {
	t.Helper()
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// BenchmarkSideBySide is `make bench`: nodepush beside Debian's node_exporter
// and vmagent with the same collectors, interval and sink, one after the other.
func BenchmarkSideBySide(b *testing.B) {
	for b.Loop() {
		ours, theirs := nodepushStack(b).run(b), vmagentStack(b).run(b)
		report(b, ours, theirs)
		b.ReportMetric(perSample(ours.usage.cpu, ours.samples), "µs/sample")
		b.ReportMetric(perSample(theirs.usage.cpu, theirs.samples), "peer-µs/sample")
	}
}

func nodepushStack(b *testing.B) stack {
	dir := b.TempDir()
	return stack{name: "nodepush", queue: filepath.Join(dir, "wal"), start: func(url string) []*process {
		config := write(b, filepath.Join(dir, "nodepush.yaml"), fmt.Sprintf(
			"global: {scrape_interval: %s}\nremote_write: [{url: %q}]\nwal: {dir: %s}\n", benchInterval, url, filepath.Join(dir, "wal")))
		return []*process{start(b, binary, "run", "--config.file="+config)}
	}}
}

func vmagentStack(b *testing.B) stack {
	dir := b.TempDir()
	return stack{name: "node_exporter + vmagent", queue: filepath.Join(dir, "queue"), start: func(url string) []*process {
		exporter, agent := freePort(b), freePort(b)
		args := []string{"--web.listen-address=" + exporter, "--collector.disable-defaults"}
		for _, subject := range subjects {
			args = append(args, "--collector."+subject)
		}
		config := write(b, filepath.Join(dir, "scrape.yml"), fmt.Sprintf(
			"global: {scrape_interval: %s}\nscrape_configs: [{job_name: node, static_configs: [{targets: [%q]}]}]\n", benchInterval, exporter))
		return []*process{
			start(b, need(b, "prometheus-node-exporter", "prometheus-node-exporter"), args...),
			start(b, need(b, "vmagent", "victoria-metrics"), "-promscrape.config="+config, "-remoteWrite.url="+url,
				"-remoteWrite.tmpDataPath="+filepath.Join(dir, "queue"), "-httpListenAddr="+agent),
		}
	}}
}

func perSample(d time.Duration, samples int64) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(samples)
}

func report(b *testing.B, rows ...row) {
	files := openFiles(b)
	bare := bareLoop(b, files)
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stack\tremote write\tseries\tCPU µs/sample\tuser\tsystem\tRSS MiB\tanonymous\twire B/sample\trequests\tdisk B/sample offline\tallocations/round\t")
	for _, r := range rows {
		share := float64(r.usage.user) / max(1, float64(r.usage.user+r.usage.system))
		cpu := perSample(r.usage.cpu, r.samples)
		fmt.Fprintf(w, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.2f\t%d\t%.2f\t%.0f\t\n", r.name, r.protocol, r.series, cpu, cpu*share, cpu*(1-share),
			float64(r.usage.rss)/(1<<20), float64(r.usage.anon)/(1<<20), r.wire, r.requests, r.wal, r.allocs)
	}
	fmt.Fprintf(w, "open-read-close of %d files\t\t%d\t%.2f\t\t\t\t\t\t\t\t\t\n", len(files), rows[0].series, perSample(bare, rows[0].series))
	w.Flush()
	fmt.Printf("\n%s interval, %s window, then %s with the sink down\n%s\n", benchInterval, benchWindow, benchOffline, &text)
}

// bareLoop is the CPU time of reading the files once, with nothing done to
// what they say: the floor under any collector that reads them.
func bareLoop(t testing.TB, files []string) time.Duration {
	t.Helper()
	const rounds = 200
	buf := make([]byte, 1<<20)
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &before)
	for range rounds {
		for _, file := range files {
			fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			for {
				if n, err := unix.Read(fd, buf); n <= 0 || err != nil {
					break
				}
			}
			unix.Close(fd)
		}
	}
	unix.Getrusage(unix.RUSAGE_SELF, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return time.Duration(spent / rounds)
}

// openFiles returns the kernel files that nodepush opens in every round, as
// strace saw it: independent of what the program says of itself.
func openFiles(t testing.TB) (files []string) {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	config := write(t, filepath.Join(dir, "nodepush.yaml"), fmt.Sprintf(
		"global: {scrape_interval: 1s}\nremote_write: [{url: 'http://%s/'}]\nwal: {dir: %s}\n", freePort(t), filepath.Join(dir, "wal")))
	p := start(t, need(t, "strace", "strace"), "-D", "-f", "-qq", "-e", "trace=openat", "-o", trace, binary, "run", "--config.file="+config)
	const rounds = 8
	time.Sleep(rounds * time.Second)
	p.stop(t, syscall.SIGTERM, 30*time.Second)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	times := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, `openat(AT_FDCWD, "`)
		path, result, ok := strings.Cut(rest, `"`)
		kernel := strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") || strings.HasPrefix(path, "/run/")
		if ok && kernel && !strings.Contains(result, "= -1") {
			times[path]++
		}
	}
	for path, n := range times {
		for range (n + rounds/2) / rounds { // a file that is read twice a round counts twice
			files = append(files, path)
		}
	}
	if len(files) < 5 {
		t.Fatalf("strace saw only %d files opened in every round", len(files))
	}
	return files
}
