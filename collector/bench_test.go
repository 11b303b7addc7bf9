package collector

import (
	"context"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

// realHost is this machine; opened is told of every file a round opens.
func realHost(opened func(path string)) *host {
	return &host{Paths: Paths{}.orUsual(), statfs: unix.Statfs, uname: unix.Uname, zone: time.Local, read: opened}
}

// BenchmarkRound is one round of every collector over this machine.
func BenchmarkRound(b *testing.B) {
	collectors, err := makeAll(Names(), realHost(nil), Options{})
	if err != nil {
		b.Fatal(err)
	}
	buffers := make([]metric.Buffer, len(collectors))
	for b.Loop() {
		samples := collectRound(b, collectors, buffers)
		b.ReportMetric(float64(samples), "samples")
	}
}

// BenchmarkOpenReadClose opens, reads and closes the files of BenchmarkRound
// and does nothing else: what a round costs at least.
func BenchmarkOpenReadClose(b *testing.B) {
	files := filesOfRound(b)
	buf := make([]byte, 64<<10)
	for b.Loop() {
		for _, path := range files {
			readBare(path, buf)
		}
	}
	b.ReportMetric(float64(len(files)), "files")
}

// BenchmarkCollector is one round of each collector by itself.
func BenchmarkCollector(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			collectors, err := makeAll([]string{name}, realHost(nil), Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			buffers := make([]metric.Buffer, 1)
			for b.Loop() {
				collectRound(b, collectors, buffers)
			}
		})
	}
}

// A round in which nothing new appears allocates next to nothing: what is left
// is the paths that statfs(2) copies, the round's worker and timers, and the
// netlink socket.
func TestRoundAllocations(t *testing.T) {
	limits := map[string]float64{"filesystem": 14, "netdev": 5}
	for _, name := range Names() {
		h := realHost(nil)
		h.statfs = func(string, *unix.Statfs_t) error { return nil }
		if !slices.Contains(ownCollectors, name) && name != "netdev" {
			h = recorded()
		}
		collectors, err := makeAll([]string{name}, h, Options{})
		if err != nil {
			t.Fatal(err)
		}
		buffers := make([]metric.Buffer, 1)
		got := testing.AllocsPerRun(50, func() { collectRound(t, collectors, buffers) })
		if got > limits[name] {
			t.Errorf("%s: %v allocations a round, want at most %v", name, got, limits[name])
		}
	}
}

// collectRound returns the number of samples of a round.
func collectRound(tb testing.TB, collectors []Collector, buffers []metric.Buffer) (samples int) {
	now := time.Unix(1700000000, 0)
	for i, c := range collectors {
		buffers[i].Reset()
		if err := c.Collect(context.Background(), now, &buffers[i]); err != nil {
			tb.Fatalf("%s: %v", c.Name(), err)
		}
		samples += buffers[i].Len()
	}
	return samples
}

// filesOfRound returns the files that a steady round opens.
func filesOfRound(tb testing.TB) []string {
	var files []string
	collectors, err := makeAll(Names(), realHost(func(path string) { files = append(files, path) }), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	buffers := make([]metric.Buffer, len(collectors))
	collectRound(tb, collectors, buffers)
	files = nil
	collectRound(tb, collectors, buffers)
	return files
}

func readBare(path string, buf []byte) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	for {
		n, err := unix.Read(fd, buf)
		if err != nil || n == 0 {
			break
		}
	}
	unix.Close(fd)
}
