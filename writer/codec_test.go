package writer

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// memoryLog is a log in memory that numbers and repeats frames as wal.Log
// does. fail decides which calls fail.
type memoryLog struct {
	frames  []wal.Frame
	segment uint64
	size    int64
	bytes   int64 // of all segments
	calls   int
	fail    func(call int) bool
	discard bool // keep no frames

	rollFailed bool
}

var errDisk = errors.New("disk on fire")

func (l *memoryLog) failing() bool {
	l.calls++
	return l.fail != nil && l.fail(l.calls)
}

func (l *memoryLog) next() uint64 {
	if len(l.frames) == 0 {
		return 1
	}
	return l.frames[len(l.frames)-1].Seq + 1
}

func (l *memoryLog) add(kind wal.Kind, payload []byte) {
	l.size += 17 + int64(len(payload))
	l.bytes += 17 + int64(len(payload))
	if !l.discard {
		l.frames = append(l.frames, wal.Frame{Seq: l.next(), Kind: kind, Payload: slices.Clone(payload), Segment: l.segment})
	}
}

func (l *memoryLog) Append(kind wal.Kind, payload []byte) (uint64, error) {
	if l.failing() {
		return 0, errDisk
	}
	seq := l.next()
	l.add(kind, payload)
	if kind == wal.Head {
		l.add(kind, payload)
	}
	return seq, nil
}

func (l *memoryLog) Roll(heads [][]byte) error {
	if l.rollFailed = l.failing(); l.rollFailed {
		return errDisk
	}
	l.segment, l.size = l.next(), 32
	l.bytes += 32
	for range 2 {
		for _, h := range heads {
			l.add(wal.Head, h)
		}
	}
	return nil
}

func (l *memoryLog) Size() int64 { return l.size }

// recorded is a host as it was recorded, every second for twenty minutes:
// testdata/host-20min.txt.gz has a line of times and one for each series, with
// the differences between whole numbers ("*n" says n times no difference), to
// be divided by a scale.
type recorded struct {
	source  *metric.Source
	times   []int64
	samples []metric.Sample
	columns [][]float64
}

func loadHost(t testing.TB) *recorded {
	f, err := os.Open("testdata/host-20min.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	lines.Scan()
	h := &recorded{source: testSource("node"), times: sums(strings.Fields(lines.Text())[1:])}
	descs := map[string]*metric.Desc{}
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		h.samples = append(h.samples, recordedSeries(descs, fields[0], fields[1]))
		scale, _ := strconv.ParseFloat(fields[2], 64)
		var column []float64
		for _, v := range sums(fields[3:]) {
			column = append(column, float64(v)/scale)
		}
		h.columns = append(h.columns, column)
	}
	return h
}

func testSource(name string) *metric.Source {
	return &metric.Source{Name: name, BootID: [16]byte{1, 2, 3}, Start: 1_700_000_000_000, Labels: []metric.Label{
		{Name: "job", Value: name}, {Name: "instance", Value: "gateway-17.example"}, {Name: "site", Value: "plant-7"}}}
}

func recordedSeries(descs map[string]*metric.Desc, kind, text string) metric.Sample {
	name, rest, _ := strings.Cut(text, "{")
	var names, values []string
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		if n, v, ok := strings.Cut(pair, "="); ok {
			names, values = append(names, n), append(values, v)
		}
	}
	d := descs[name]
	if d == nil {
		d = &metric.Desc{Name: name, Type: metric.Gauge, Labels: names,
			Help: "What the kernel says of " + strings.ReplaceAll(strings.TrimPrefix(name, "node_"), "_", " ") + "."}
		if kind == "counter" {
			d.Type = metric.Counter
		}
		descs[name] = d
	}
	return metric.Sample{Desc: d, Values: values}
}

func sums(fields []string) (out []int64) {
	last := int64(0)
	for _, f := range fields {
		if n, ok := strings.CutPrefix(f, "*"); ok {
			for n, _ := strconv.Atoi(n); n > 0; n-- {
				out = append(out, last)
			}
			continue
		}
		d, _ := strconv.ParseInt(f, 10, 64)
		last += d
		out = append(out, last)
	}
	return out
}

// round fills c with round i, in c's own memory.
func (h *recorded) round(i int, c *metric.Collection) {
	c.Source, c.Time, c.Mono = h.source, h.times[i], h.times[i]-h.times[0]+100_000
	c.Samples = append(c.Samples[:0], h.samples...)
	for n, column := range h.columns {
		c.Samples[n].Value = column[i]
	}
}

// seriesText writes a label set as Prometheus does.
func seriesText(labels []metric.Label) string {
	var b strings.Builder
	for _, l := range labels {
		fmt.Fprintf(&b, "%s=%q ", l.Name, l.Value)
	}
	return b.String()
}

// valuesOf maps each series of a decoded collection to the bits of its value.
func valuesOf(c *decoded) map[string]uint64 {
	m := make(map[string]uint64)
	for id := range c.present.each {
		m[seriesText(c.dict.series[id].labels)] = math.Float64bits(c.values[id])
	}
	return m
}

// wantOf is what valuesOf must return for c.
func wantOf(c *metric.Collection) map[string]uint64 {
	m := make(map[string]uint64)
	for _, s := range c.Samples {
		key := seriesText(appendIdentity(nil, c.Source.Labels, s.Desc, s.Values))
		if _, ok := m[key]; !ok {
			m[key] = math.Float64bits(normal(s.Value))
		}
	}
	return m
}

// The figure that the format exists for: bytes on disk for each sample of a
// small host, frames' headers, keys and both copies of the dictionary included.
func TestBytesPerSample(t *testing.T) {
	h, log := loadHost(t), &memoryLog{}
	e := newEncoder(log, 256<<20, nil)
	var c metric.Collection
	samples := 0
	for i := range h.times {
		h.round(i, &c)
		if err := e.append(&c); err != nil {
			t.Fatal(err)
		}
		samples += len(c.Samples)
	}
	bytes := map[wal.Kind]int{}
	count := map[wal.Kind]int{}
	d, n := newDecoder(), 0
	for _, f := range log.frames {
		bytes[f.Kind] += 17 + len(f.Payload)
		count[f.Kind]++
		got, err := d.decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			continue
		}
		h.round(n, &c)
		for id, s := range c.Samples {
			if math.Float64bits(got.values[id]) != math.Float64bits(s.Value) {
				t.Fatalf("round %d, %s%q: %v, want %v", n, s.Desc.Name, s.Values, got.values[id], s.Value)
			}
		}
		if got.count != len(c.Samples) || got.time != c.Time || got.mono != c.Mono || len(got.gone) > 0 {
			t.Fatalf("round %d: %d samples at %d and %d, %d gone", n, got.count, got.time, got.mono, len(got.gone))
		}
		n++
		d.release(got)
	}
	per := float64(log.bytes) / float64(samples)
	t.Logf("%.3f B/sample: %d series, %d rounds; heads %d in %d, keys %d in %d, data %d in %d", per, len(h.samples), n,
		bytes[wal.Head], count[wal.Head], bytes[wal.Key], count[wal.Key], bytes[wal.Data], count[wal.Data])
	if n != len(h.times) || per > 0.5 {
		t.Errorf("%d rounds, %.3f B/sample, want %d and at most 0.5", n, per, len(h.times))
	}
}
