package writer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"

	"nodepush/metric"
)

func TestCollectIsComplete(t *testing.T) {
	p := openPipe(t, t.TempDir(), testClock(), testReceiver("r", "http://127.0.0.1:1/")).start()
	p.collect(3)
	eventually(t, "an attempt", func() bool { return p.value("nodepush_requests_total", "r", "error") > 0 })
	var b metric.Buffer
	p.Collect(time.Now(), &b)
	seen := make(map[*metric.Desc]bool)
	for _, s := range b.Samples() {
		seen[s.Desc] = true
		if !slices.Contains(p.Descs(), s.Desc) {
			t.Errorf("%s is not in Descs", s.Desc.Name)
		}
		if s.Start != p.opened.UnixMilli() {
			t.Errorf("%s counts from %d, want from the opening of the log, %d", s.Desc.Name, s.Start, p.opened.UnixMilli())
		}
	}
	for _, d := range p.Descs() {
		if !seen[d] || !strings.HasPrefix(d.Name, "nodepush_") || !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%s: collected %v, help %q", d.Name, seen[d], d.Help)
		}
	}
	for _, reason := range dropNames {
		if got := p.dropped("r", reason); got != 0 {
			t.Errorf("dropped{%s} = %d, want 0 from the start", reason, got)
		}
	}
	if age := p.value("nodepush_backlog_seconds", "r"); age < 3500 || age > 3700 {
		t.Errorf("backlog of a collection that is an hour old = %v s", age)
	}
	p.kill()
}

func TestCollectAllocatesNothing(t *testing.T) {
	s := &stats{receiver: "r", started: time.Now()}
	s.request(answer{code: 204}, 10, 0)
	s.request(answer{}, 10, 1)
	var b metric.Buffer
	collect := func() { b.Reset(); s.collect(time.Now(), 10, &b) }
	collect()
	if n := testing.AllocsPerRun(20, collect); n > 0 {
		t.Errorf("collect allocates %v times, want 0", n)
	}
}

// fillLog appends a thousand collections that take their space, and returns
// how many samples that is.
func (p *pipe) fillLog() (samples int) {
	p.t.Helper()
	for range 1000 {
		c := p.collection(300)
		for i := range c.Samples {
			c.Samples[i].Value = rand.Float64()
		}
		if err := p.Append(c, time.Time{}); err != nil {
			p.t.Fatal(err)
		}
		p.time += 1000
		samples += len(c.Samples)
	}
	return samples
}

// What a receiver has not got when a segment must go is counted, to the
// sample, and what its sender has in its hands is not.
func TestEvictionIsCounted(t *testing.T) {
	for _, started := range []bool{false, true} {
		var up atomic.Bool
		s := newSink(t, func(int, *prompb.WriteRequest) int {
			if up.Load() {
				return 204
			}
			return 503
		})
		dir := t.TempDir()
		p := openPipeSize(t, dir, 1<<20, testClock(), testReceiver("r", s.URL))
		if started {
			p.start()
			p.collect(300)
			eventually(t, "an attempt", func() bool { return s.count() > 0 })
		}
		want := p.fillLog()
		if started {
			want += 300
		}
		lost := p.dropped("r", "wal_full")
		if lost == 0 {
			t.Fatal("nothing was evicted")
		}
		up.Store(true)
		if !started {
			p.start()
		}
		eventually(t, "the rest arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
		if got := s.samples() + p.dropped("r", "wal_full"); got != want {
			t.Errorf("started %v: %d arrived and %d were counted as lost, together %d, want %d", started, s.samples(), lost, got, want)
		}
		p.stop()
	}
}

// What is lost with the memory of a log that never had a disk is counted by
// that reason.
func TestLostMemoryIsCounted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := openPipe(t, dir, testClock(), testReceiver("r", "http://127.0.0.1:1/"))
	p.collect(10)
	if b := p.Backlog(); len(b) != 1 || b[0].Receiver != "r" || b[0].Frames == 0 || p.Unwritten() == 0 {
		t.Errorf("backlog %+v, %d bytes unwritten", b, p.Unwritten())
	}
	if err := p.Close(); err == nil {
		t.Error("Close loses samples and says nothing")
	}
	if got := p.dropped("r", "memory"); got != 10 {
		t.Errorf("memory = %d, want 10", got)
	}
	if got := p.dropped("r", "wal_full"); got != 0 {
		t.Errorf("wal_full = %d, want 0", got)
	}
}

// Each sample that does not get into the log has one reason.
func TestRefusedByReason(t *testing.T) {
	p := openPipe(t, t.TempDir(), testClock())
	noise, r := make([]byte, maxPayload+1), rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	spoilt := func() *metric.Collection {
		c := p.collection(10)
		c.Samples = append(c.Samples, c.Samples[0], metric.Sample{Desc: &metric.Desc{}})
		return c
	}
	c := spoilt()
	c.Samples[0].Ext = &metric.Ext{Histogram: noise}
	if err := p.Append(c, time.Time{}); err == nil {
		t.Error("a collection that fits in no frame was appended")
	}
	if err := p.Append(spoilt(), time.Time{}); err != nil {
		t.Error(err)
	}
	p.kill()
	if err := p.Append(spoilt(), time.Time{}); err == nil {
		t.Error("a collection was appended to a closed log")
	}
	for reason, want := range map[string]float64{"duplicate": 3, "invalid": 3, "overflow": 0, "disk": 0, "too_large": 10, "closed": 10} {
		if got := p.value("nodepush_refused_samples_total", reason); got != want {
			t.Errorf("refused{%s} = %v, want %v", reason, got, want)
		}
	}
}

// Damage in the log is counted, and what is intact arrives. How much a lost
// frame held is an estimate, and it may have been a copy of a head.
func TestDamageIsCounted(t *testing.T) {
	template := t.TempDir()
	p := openPipe(t, template, testClock(), testReceiver("r", "http://127.0.0.1:1/"))
	for range 100 {
		p.collect(50)
	}
	p.kill()
	files, _ := filepath.Glob(filepath.Join(template, "*.wal"))
	log, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for at := 64; at < len(log); at += len(log) / 40 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(log)
		b[at] ^= 1
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := newSink(t, nil)
		p := openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
		p.collect(1) // the end of the log, and one more than what is damaged
		eventually(t, "the last arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
		lost := p.dropped("r", "damaged")
		if got := s.samples() - 1 + lost; got < 5000 || got > 5100 {
			t.Errorf("bit of byte %d: %d arrived and %d counted as damaged, want 5000 together", at, s.samples()-1, lost)
		}
		if lost > 1000 {
			keys++
		}
		p.stop()
	}
	if keys == 0 {
		t.Error("no key frame was hit")
	}
}
