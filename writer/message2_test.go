package writer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"nodepush/metric"
)

// body2 returns the request that r holds, uncompressed, and what the generated
// code reads in it, once the rules of the specification hold for it.
func body2(t testing.TB, r *request) ([]byte, *writev2.Request) {
	t.Helper()
	raw, err := snappy.Decode(nil, r.body)
	if err != nil {
		t.Fatalf("snappy.Decode: %v", err)
	}
	var w writev2.Request
	if err := w.Unmarshal(raw); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	if len(w.Symbols) == 0 || w.Symbols[0] != "" {
		t.Errorf("symbols %q do not begin with the empty one", w.Symbols)
	}
	if u := slices.Compact(slices.Sorted(slices.Values(w.Symbols))); len(u) != len(w.Symbols) {
		t.Errorf("%d of %d symbols differ", len(u), len(w.Symbols))
	}
	used := map[uint32]bool{0: true}
	for i := range w.Timeseries {
		ts := &w.Timeseries[i]
		if (len(ts.Samples) > 0) == (len(ts.Histograms) > 0) {
			t.Errorf("time series with %d samples and %d histograms", len(ts.Samples), len(ts.Histograms))
		}
		for _, ref := range slices.Concat(ts.LabelsRefs, []uint32{ts.Metadata.HelpRef, ts.Metadata.UnitRef}) {
			used[ref] = true
		}
		for _, e := range ts.Exemplars {
			for _, ref := range e.LabelsRefs {
				used[ref] = true
			}
		}
	}
	if len(used) != len(w.Symbols) {
		t.Errorf("%d symbols, %d of them used", len(w.Symbols), len(used))
	}
	return raw, &w
}

// labels2 returns the labels of a time series as PromQL writes them.
func labels2(t testing.TB, w *writev2.Request, n int) string {
	t.Helper()
	var b labels.ScratchBuilder
	ls, err := w.Timeseries[n].ToLabels(&b, w.Symbols)
	if err != nil {
		t.Fatalf("labels of time series %d: %v", n, err)
	}
	return ls.String()
}

// dict2 returns a dictionary with a series of each kind.
func dict2() *dictionary {
	of := func(name string, kind metric.Type, unit string, start int64, more ...metric.Label) series {
		return series{
			desc:   &metric.Desc{Name: name, Type: kind, Unit: unit, Help: "About " + name + "."},
			labels: append([]metric.Label{{Name: "__name__", Value: name}, {Name: "job", Value: "node"}}, more...),
			start:  start,
		}
	}
	return &dictionary{source: "node", series: []series{
		of("a_total", metric.Counter, "", 500, metric.Label{Name: "mode", Value: "node"}),
		of("b_seconds", metric.Gauge, "seconds", 0),
		of("c", metric.Unknown, "", 0, metric.Label{Name: "seconds", Value: "b_seconds"}),
		of("d_seconds_total", metric.Counter, "seconds", 2000),
		of("h", metric.Histogram, "", 700),
	}}
}

func TestMessage2SaysWhatTheSeriesAre(t *testing.T) {
	for _, help := range []bool{false, true} {
		dict := dict2()
		first, second := testItem(dict, 1, 1500, always(1.5)), testItem(dict, 2, 2500, always(math.NaN()))
		second.present[0] &^= 1 << 1
		second.count--
		second.gone = []int{1}
		r := newRequest(nil, newMessage2(help))
		tally := r.encode([]item{first, second}, whole, 0)
		raw, w := body2(t, r)
		if again, err := w.Marshal(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("encode = %x, the generated code writes %x, %v", raw, again, err)
		}
		if tally.samples != 9 || tally.markers != 1 || tally.newest != 2500 {
			t.Errorf("encode = %+v, want 9 samples and a marker", tally)
		}
		want := []struct {
			labels, unit string
			kind         writev2.Metadata_MetricType
			starts       []int64
		}{
			{`{__name__="a_total", job="node", mode="node"}`, "", writev2.Metadata_METRIC_TYPE_COUNTER, []int64{500, 500}},
			{`{__name__="b_seconds", job="node"}`, "seconds", writev2.Metadata_METRIC_TYPE_GAUGE, []int64{0, 0}},
			{`{__name__="c", job="node", seconds="b_seconds"}`, "", writev2.Metadata_METRIC_TYPE_UNSPECIFIED, []int64{0, 0}},
			{`{__name__="d_seconds_total", job="node"}`, "seconds", writev2.Metadata_METRIC_TYPE_COUNTER, []int64{0, 2000}},
			{`{__name__="h", job="node"}`, "", writev2.Metadata_METRIC_TYPE_HISTOGRAM, []int64{700, 700}},
		}
		if len(w.Timeseries) != len(want) {
			t.Fatalf("%d time series, want %d", len(w.Timeseries), len(want))
		}
		for i, c := range want {
			ts := w.Timeseries[i]
			wantHelp := ""
			if help {
				wantHelp = dict.series[i].desc.Help
			}
			if got := labels2(t, w, i); got != c.labels || ts.Metadata.Type != c.kind || w.Symbols[ts.Metadata.UnitRef] != c.unit ||
				w.Symbols[ts.Metadata.HelpRef] != wantHelp {
				t.Errorf("time series %d is %s, type %s, unit %q, help %q, want %+v and help %q", i, got, ts.Metadata.Type,
					w.Symbols[ts.Metadata.UnitRef], w.Symbols[ts.Metadata.HelpRef], c, wantHelp)
			}
			if len(ts.Samples) != 2 || ts.Samples[0].Timestamp != 1500 || ts.Samples[1].Timestamp != 2500 || ts.Samples[0].Value != 1.5 {
				t.Errorf("samples of %s are %v", c.labels, ts.Samples)
				continue
			}
			bits, wantBits := math.Float64bits(ts.Samples[1].Value), uint64(normalNaN)
			if i == 1 {
				wantBits = staleNaN
			}
			if starts := []int64{ts.Samples[0].StartTimestamp, ts.Samples[1].StartTimestamp}; bits != wantBits || !slices.Equal(starts, c.starts) {
				t.Errorf("%s: second value %x, starts %d; want %x, %d", c.labels, bits, starts, wantBits, c.starts)
			}
		}
	}
}

// The log has histograms and exemplars as messages of 1.0.
func TestMessage2Histograms(t *testing.T) {
	h := prompb.Histogram{Count: &prompb.Histogram_CountInt{CountInt: 12}, Sum: 3.5, Schema: -2, ZeroThreshold: 1e-9,
		ZeroCount: &prompb.Histogram_ZeroCountInt{ZeroCountInt: 3}, ResetHint: prompb.Histogram_YES,
		PositiveSpans: []prompb.BucketSpan{{Offset: -1, Length: 2}}, PositiveDeltas: []int64{5, -2},
		NegativeSpans: []prompb.BucketSpan{{Offset: 4, Length: 1}}, NegativeDeltas: []int64{7}, CustomValues: []float64{1, 2}}
	payload, _ := h.Marshal()
	example := func(time int64, ls ...prompb.Label) []byte {
		b, _ := (&prompb.Exemplar{Labels: ls, Value: 0.5, Timestamp: time}).Marshal()
		return b
	}
	dict := dict2()
	var items []item
	for i := range 4 {
		c := testItem(dict, uint64(i), 1000*int64(i+1), func(id int) (float64, bool) { return 9, id == 4 })
		if i != 2 {
			c.ext = map[int]*metric.Ext{4: {Histogram: payload}}
		}
		items = append(items, c)
	}
	items[3].ext[4] = &metric.Ext{Histogram: payload, Exemplars: [][]byte{
		example(77, prompb.Label{Name: "trace_id", Value: "abc"}, prompb.Label{Name: "job", Value: "abc"}), example(0)}}
	r := newRequest(nil, newMessage2(false))
	if tally := r.encode(items, whole, 0); tally.samples != 4 || tally.damaged != 0 {
		t.Errorf("encode = %+v, want 4 samples", tally)
	}
	raw, w := body2(t, r)
	if again, err := w.Marshal(); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("encode = %x, the generated code writes %x, %v", raw, again, err)
	}
	if len(w.Timeseries) != 3 || len(w.Timeseries[0].Histograms) != 2 || len(w.Timeseries[1].Samples) != 1 || len(w.Timeseries[2].Histograms) != 1 {
		t.Fatalf("time series %v, want histograms, a float, a histogram", w.Timeseries)
	}
	got := w.Timeseries[0].Histograms[1]
	if got.Timestamp != 2000 || got.StartTimestamp != 700 {
		t.Errorf("times of the histogram %d, %d, want 2000, 700", got.Timestamp, got.StartTimestamp)
	}
	want, _ := h.Marshal()
	got.Timestamp, got.StartTimestamp = 0, 0
	if b, _ := got.Marshal(); !bytes.Equal(b, want) {
		t.Errorf("histogram %x, want %x", b, want)
	}
	last := w.Timeseries[2].Exemplars
	if len(last) != 2 || last[0].Value != 0.5 || last[0].Timestamp != 77 || last[1].Timestamp != 4000 || len(last[1].LabelsRefs) != 0 {
		t.Fatalf("exemplars %v", last)
	}
	var names []string
	for _, ref := range last[0].LabelsRefs {
		names = append(names, w.Symbols[ref])
	}
	if want := []string{"trace_id", "abc", "job", "abc"}; !slices.Equal(names, want) {
		t.Errorf("labels of the exemplar %q, want %q", names, want)
	}
}

// Two sources share the symbols of a request.
func TestMessage2Sources(t *testing.T) {
	one, two := dict2(), dict2()
	two.source = "other"
	r := newRequest(nil, newMessage2(true))
	for range 2 { // the second time from what the first one left
		r.encode([]item{testItem(one, 1, 1000, always(1)), testItem(two, 2, 1001, always(2)), testItem(one, 3, 2000, always(1))}, whole, 0)
		_, w := body2(t, r)
		if len(w.Timeseries) != 10 || labels2(t, w, 0) != labels2(t, w, 5) || len(w.Timeseries[0].Samples) != 2 {
			t.Errorf("time series %v, want five of each source", w.Timeseries)
		}
	}
	r.encode([]item{testItem(one, 4, 3000, always(1))}, part{2, 3}, 0)
	if _, w := body2(t, r); len(w.Timeseries) != 1 || len(w.Symbols) != 8 {
		t.Errorf("a part has %d time series and symbols %q, want one and only its own", len(w.Timeseries), w.Symbols)
	}
}

// Names that are gone are forgotten, and those that stay get new numbers.
func TestMessage2ForgetsSymbols(t *testing.T) {
	m := newMessage2(false)
	r := newRequest(nil, m)
	stays := dict2()
	stays.source = "stays"
	for n := range 3 * maxSymbols / 1000 {
		d := testDict(1000)
		for i := range d.series {
			d.series[i].labels[1].Value = fmt.Sprint("gone-", n, "-", i)
		}
		r.encode([]item{testItem(stays, 1, 1000, always(1)), testItem(d, 2, 1001, always(1))}, whole, 0)
		if n%8 == 0 {
			if _, w := body2(t, r); labels2(t, w, 1) != `{__name__="b_seconds", job="node"}` || w.Symbols[w.Timeseries[1].Metadata.UnitRef] != "seconds" {
				t.Fatalf("after %d dictionaries a series is called %s", n, labels2(t, w, 1))
			}
		}
		if len(m.symbols.texts) > maxSymbols+10_000 {
			t.Fatalf("%d symbols after %d dictionaries", len(m.symbols.texts), n)
		}
	}
}

// Long texts that are gone are forgotten before they take the memory.
func TestMessage2ForgetsLongSymbols(t *testing.T) {
	m := newMessage2(false)
	r := newRequest(nil, m)
	for n := range 60 {
		d := testDict(100)
		for i := range d.series {
			d.series[i].labels[1].Value = strings.Repeat("x", 4096) + fmt.Sprint(n, " ", i)
		}
		r.encode([]item{testItem(d, 1, 1000, always(1))}, whole, 0)
	}
	if m.symbols.bytes > maxSymbolBytes+(2<<20) {
		t.Errorf("%d bytes of symbols", m.symbols.bytes)
	}
}

// A dictionary that is larger than what may gather is not made anew for each part.
func TestMessage2KeepsWhatIsNeeded(t *testing.T) {
	r := newRequest(nil, newMessage2(false))
	c := testItem(testDict(maxSymbols+10), 1, 1000, always(1))
	r.encode([]item{c}, part{0, 10}, 0)
	names := r.names.of(c.dict)
	for i := range 5 {
		r.encode([]item{c}, part{10 * i, 10*i + 10}, 0)
	}
	if r.names.of(c.dict) != names {
		t.Error("the identities were made anew")
	}
}

// A series whose labels the log has lost is not sent, whatever the rules add.
func TestRequestSkipsHoles(t *testing.T) {
	rule := relabel.DefaultRelabelConfig
	rule.TargetLabel, rule.Replacement, rule.NameValidationScheme = "region", "eu", model.UTF8Validation
	for _, p := range []*protocol{protocol1, protocol2} {
		d := testDict(3)
		d.holes, d.series[1] = true, series{}
		r := newRequest([]*relabel.Config{&rule}, p.message(true))
		if got := r.encode([]item{testItem(d, 1, 1000, func(id int) (float64, bool) { return 1, id != 1 })}, whole, 0); got.samples != 2 {
			t.Errorf("%s: %+v, want 2 samples", p.name, got)
		}
		if got := len(r.families()); got != 1 {
			t.Errorf("%s: %d families, want 1", p.name, got)
		}
	}
}

func TestMessage2AllocatesNothing(t *testing.T) {
	dict := testDict(500)
	items := []item{testItem(dict, 1, 1000, always(1)), testItem(dict, 2, 2000, always(2))}
	r := newRequest(nil, newMessage2(true))
	r.encode(items, whole, 0)
	if n := testing.AllocsPerRun(20, func() { r.encode(items, whole, 0) }); n > 0 {
		t.Errorf("encode allocates %v times, want 0", n)
	}
}

// FuzzMessage2 holds that what encode writes is what the generated code
// writes, whatever the log holds.
func FuzzMessage2(f *testing.F) {
	e, _ := (&prompb.Exemplar{Labels: []prompb.Label{{Name: "a", Value: "b"}}, Value: 1}).Marshal()
	f.Add(uint16(10), int64(1000), int64(1), uint64(0), e)
	f.Add(uint16(200), int64(-1), int64(-5), uint64(staleNaN), []byte{})
	f.Fuzz(func(t *testing.T, n uint16, time, start int64, bits uint64, ext []byte) {
		dict := testDict(int(n)%300 + 1)
		for i := range dict.series {
			dict.series[i].start = start
		}
		c := testItem(dict, 1, time, always(math.Float64frombits(bits)))
		r := newRequest(nil, newMessage2(n%2 == 0))
		r.encode([]item{c}, whole, 0)
		raw, w := body2(t, r)
		if want, _ := w.Marshal(); !bytes.Equal(raw, want) {
			t.Errorf("encode = %x, want %x", raw, want)
		}
		for i := range w.Timeseries {
			if s := w.Timeseries[i].Samples[0]; s.StartTimestamp != 0 && s.StartTimestamp >= s.Timestamp {
				t.Errorf("start %d of a sample at %d", s.StartTimestamp, s.Timestamp)
			}
		}
		c.ext = map[int]*metric.Ext{0: {Histogram: ext, Exemplars: [][]byte{ext}}, 1: {Exemplars: [][]byte{ext}}}
		r.encode([]item{c}, whole, 0) // any payload is fine
	})
}
