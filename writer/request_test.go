package writer

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/prompb"

	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
)

// testDict returns a dictionary of n series.
func testDict(n int) *dictionary {
	d := &dictionary{source: "node"}
	desc := &metric.Desc{Name: "m", Type: metric.Gauge}
	for i := range n {
		d.series = append(d.series, series{desc: desc, labels: []metric.Label{
			{Name: "__name__", Value: "m"}, {Name: "id", Value: fmt.Sprint(i)}, {Name: "instance", Value: "host-1.example"},
			{Name: "job", Value: "node"},
		}})
	}
	return d
}

// testItem returns a collection of the series for which value is not nil.
func testItem(d *dictionary, seq uint64, time int64, value func(id int) (float64, bool)) item {
	c := &decoded{seq: seq, dict: d, time: time, present: make(bitmap, (len(d.series)+63)/64), values: make([]float64, len(d.series))}
	for id := range d.series {
		if v, ok := value(id); ok {
			c.present[id>>6] |= 1 << (id & 63)
			c.values[id] = v
			c.count++
		}
	}
	return item{decoded: c}
}

func always(v float64) func(int) (float64, bool) {
	return func(int) (float64, bool) { return v, true }
}

// body returns the request that r holds, uncompressed, and what prompb reads in it.
func body(t testing.TB, r *request) ([]byte, *prompb.WriteRequest) {
	t.Helper()
	raw, err := snappy.Decode(nil, r.body)
	if err != nil {
		t.Fatalf("snappy.Decode: %v", err)
	}
	var w prompb.WriteRequest
	if err := w.Unmarshal(raw); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	return raw, &w
}

func TestRequestBytesAreThoseOfPrompb(t *testing.T) {
	dict, other := testDict(300), testDict(3)
	other.series[0].labels = []metric.Label{{Name: "Upper", Value: "ü"}, {Name: "__name__", Value: "x"}}
	values := []float64{0, math.Copysign(0, -1), 1, -1.5, math.Inf(1), math.NaN(), math.Float64frombits(staleNaN), 1e300}
	pick := func(id int) (float64, bool) { return values[id%len(values)], id%7 != 3 }
	a, b, c := testItem(dict, 1, 1_700_000_000_000, pick), testItem(other, 2, 1_700_000_000_100, always(4)),
		testItem(dict, 3, 1_700_000_015_000, always(0))
	d := testItem(other, 4, 0, always(7))
	c.gone, d.gone = nil, nil
	a.gone = []int{3, 10, 17}
	h := prompb.Histogram{Count: &prompb.Histogram_CountInt{CountInt: 12}, Sum: 3.5, Schema: 2, ZeroThreshold: 1e-9,
		PositiveSpans: []prompb.BucketSpan{{Offset: 1, Length: 2}}, PositiveDeltas: []int64{5, 2}, CustomValues: []float64{1, 2}}
	payload, _ := h.Marshal()
	exemplar := prompb.Exemplar{Labels: []prompb.Label{{Name: "trace_id", Value: "abc"}}, Value: 0.5, Timestamp: 1_699_999_999_999}
	example, _ := exemplar.Marshal()
	c.ext = map[int]*metric.Ext{5: {Histogram: payload, Exemplars: [][]byte{example}}, 6: {Exemplars: [][]byte{example, example}}}

	r := newRequest(nil, new(message1))
	tally := r.encode([]item{d, a, b, c}, whole, 0)
	raw, w := body(t, r)
	want, err := w.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, want) {
		t.Errorf("encode = %d bytes that differ from the %d of prompb", len(raw), len(want))
	}
	if got := a.count + b.count + c.count + d.count; tally.samples != got || tally.markers != 3 {
		t.Errorf("encode counted %d samples and %d markers, want %d and 3", tally.samples, tally.markers, got)
	}
	wantHistogram := h
	wantHistogram.Timestamp = c.time
	if got := w.Timeseries[3+5]; len(got.Histograms) != 1 || got.Histograms[0].String() != wantHistogram.String() ||
		len(got.Exemplars) != 1 || got.Exemplars[0].String() != exemplar.String() || len(got.Samples) != 1 {
		t.Errorf("series with a native histogram = %v", got)
	}
	if got := w.Timeseries[3+6]; len(got.Exemplars) != 2 || len(got.Samples) != 2 {
		t.Errorf("series with exemplars = %v", got)
	}
	checkFloats(t, w)
}

// checkFloats holds that NaNs are either markers or ordinary, and samples of
// a series ordered by time.
func checkFloats(t *testing.T, w *prompb.WriteRequest) {
	t.Helper()
	markers, normal := 0, 0
	for _, ts := range w.Timeseries {
		for i, s := range ts.Samples {
			switch bits := math.Float64bits(s.Value); {
			case bits == staleNaN:
				markers++
			case bits == normalNaN:
				normal++
			case s.Value != s.Value:
				t.Errorf("NaN with bits %x on the wire", bits)
			}
			if i > 0 && s.Timestamp <= ts.Samples[i-1].Timestamp {
				t.Errorf("samples of %v are not in the order of time", ts.Labels)
			}
		}
	}
	if markers != 3 || normal == 0 {
		t.Errorf("%d markers and %d ordinary NaN, want 3 and some", markers, normal)
	}
}

func TestRequestLeavesOutDamagedPayloads(t *testing.T) {
	for _, bad := range []string{"\x0a\x05ab", "\x08", "\x00\x01", "\x09abc", "\x0b\x0c", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		c := testItem(testDict(2), 1, 1000, always(1))
		c.ext = map[int]*metric.Ext{0: {Histogram: []byte(bad)}, 1: {Exemplars: [][]byte{[]byte(bad)}}}
		r := newRequest(nil, new(message1))
		if got := r.encode([]item{c}, whole, 0); got.samples != 1 || got.damaged != 1 {
			t.Errorf("payload %q: encode = %+v, want one sample and one damaged", bad, got)
		}
		if _, w := body(t, r); len(w.Timeseries) != 1 || len(w.Timeseries[0].Exemplars) != 0 {
			t.Errorf("payload %q: request %v, want the good sample alone", bad, w)
		}
	}
}

func TestRequestRelabels(t *testing.T) {
	rules := []*relabel.Config{
		{SourceLabels: model.LabelNames{"id"}, Regex: relabel.MustNewRegexp("1|2"), Action: relabel.Drop, Separator: ";", NameValidationScheme: model.UTF8Validation},
		{Regex: relabel.MustNewRegexp("instance"), Action: relabel.LabelDrop, NameValidationScheme: model.UTF8Validation},
	}
	dict := testDict(4)
	r := newRequest(rules, new(message1))
	c := testItem(dict, 1, 1000, func(id int) (float64, bool) { return 1, id != 2 })
	c.gone = []int{2}
	tally := r.encode([]item{c}, whole, 0)
	if tally.samples != 2 || tally.relabel != 1 || tally.markers != 0 {
		t.Errorf("encode = %+v, want 2 samples, 1 dropped, no marker for a dropped series", tally)
	}
	_, w := body(t, r)
	if len(w.Timeseries) != 2 || len(w.Timeseries[0].Labels) != 3 {
		t.Errorf("request = %v, want two series without label instance", w.Timeseries)
	}
	dict.series = append(dict.series, testDict(5).series[4]) // dictionaries grow
	if got := r.encode([]item{testItem(dict, 2, 2000, always(1))}, whole, 0); got.samples != 3 {
		t.Errorf("after the dictionary grew: %d samples, want 3", got.samples)
	}
}

func TestRequestPartsCoverACollection(t *testing.T) {
	c := testItem(testDict(100), 1, 1000, func(id int) (float64, bool) { return 1, id%3 == 0 })
	c.gone = []int{1, 50, 98}
	r := newRequest(nil, new(message1))
	for _, size := range []int{1, 2, 5, 36, 37, 38} {
		samples, markers := 0, 0
		for _, p := range r.split(c.decoded, whole, size) {
			got := r.encode([]item{c}, p, 0)
			if got.samples+got.markers > size {
				t.Errorf("part of at most %d series has %d", size, got.samples+got.markers)
			}
			samples, markers = samples+got.samples, markers+got.markers
		}
		if samples != c.count || markers != len(c.gone) {
			t.Errorf("parts of %d: %d samples and %d markers, want %d and %d", size, samples, markers, c.count, len(c.gone))
		}
	}
}

func TestRequestLeavesOutForAWhile(t *testing.T) {
	c := testItem(testDict(10), 1, 1000, always(1))
	r := newRequest(nil, new(message1))
	names := r.leaveOut(c.decoded, part{3, 4}, 5000)
	if want := `m{id="3", instance="host-1.example", job="node"}`; len(names) != 1 || names[0] != want {
		t.Errorf("leaveOut = %q, want %q", names, want)
	}
	if got := r.encode([]item{c}, whole, 4999); got.samples != 9 || got.leftOut != 1 {
		t.Errorf("before its time: %+v, want 9 samples and 1 left out", got)
	}
	if got := r.encode([]item{c}, whole, 5000); got.samples != 10 || got.leftOut != 0 {
		t.Errorf("after its time: %+v, want 10 samples", got)
	}
}

func TestRequestAllocatesNothing(t *testing.T) {
	dict := testDict(500)
	items := []item{testItem(dict, 1, 1000, always(1)), testItem(dict, 2, 2000, always(2))}
	r := newRequest(nil, new(message1))
	r.encode(items, whole, 0)
	if n := testing.AllocsPerRun(20, func() { r.encode(items, whole, 0) }); n > 0 {
		t.Errorf("encode allocates %v times, want 0", n)
	}
}

func FuzzFieldAfter(f *testing.F) {
	h := prompb.Histogram{Count: &prompb.Histogram_CountInt{CountInt: 1}, CustomValues: []float64{1}}
	payload, _ := h.Marshal()
	f.Add(payload, uint64(15))
	f.Add([]byte("\x78\x01\x0a\xff"), uint64(1))
	f.Fuzz(func(t *testing.T, msg []byte, number uint64) {
		if at, ok := fieldAfter(msg, number); ok && (at < 0 || at > len(msg)) {
			t.Errorf("fieldAfter(%x, %d) = %d, want an offset in the message", msg, number, at)
		}
	})
}

// FuzzRequest holds that what encode writes is what prompb writes.
func FuzzRequest(f *testing.F) {
	f.Add(uint16(10), int64(1), uint64(0), []byte{1, 2})
	f.Add(uint16(200), int64(-1), uint64(staleNaN), []byte{})
	f.Fuzz(func(t *testing.T, n uint16, time int64, bits uint64, ext []byte) {
		c := testItem(testDict(int(n)%300+1), 1, time, always(math.Float64frombits(bits)))
		r := newRequest(nil, new(message1))
		r.encode([]item{c}, whole, 0)
		raw, w := body(t, r)
		if want, _ := w.Marshal(); !bytes.Equal(raw, want) {
			t.Errorf("encode = %x, want %x", raw, want)
		}
		c.ext = map[int]*metric.Ext{0: {Histogram: ext, Exemplars: [][]byte{ext}}}
		r.encode([]item{c}, whole, 0) // any payload is fine
	})
}

func BenchmarkRequest(b *testing.B) {
	for _, p := range []*protocol{protocol1, protocol2} {
		for _, n := range []int{1, 4, 10} {
			b.Run(fmt.Sprintf("version=%s/collections=%d", p.version, n), func(b *testing.B) { benchmarkRequest(b, p, n) })
		}
	}
}

func benchmarkRequest(b *testing.B, p *protocol, n int) {
	dict := testDict(1000)
	var items []item
	for i := range n {
		items = append(items, testItem(dict, uint64(i), 1_700_000_000_000+int64(i)*15_000, func(id int) (float64, bool) { return float64(id*i) * 1.1, true }))
	}
	r := newRequest(nil, p.message(false))
	r.encode(items, whole, 0)
	for b.Loop() {
		r.encode(items, whole, 0)
	}
	samples := float64(b.N * n * 1000)
	b.ReportMetric(samples/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(len(r.body))/float64(n*1000), "B/sample")
}
