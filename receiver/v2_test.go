package receiver

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// good2 is a request of one sample, up{job="node"}, that no rule is against.
// The symbols from 7 on are for changes of it.
func good2() *writev2.Request {
	return &writev2.Request{
		Symbols: []string{"", "__name__", "up", "job", "node", "Is it up.", "ratio", "trace_id", "abc"},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2, 3, 4},
			Samples:    []writev2.Sample{{Value: 1, Timestamp: 1000, StartTimestamp: 500}},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_GAUGE, HelpRef: 5, UnitRef: 6},
		}},
	}
}

// series2 adds a time series to m and returns it; pairs are label names and
// values, at is milliseconds and values in turn.
func series2(m *writev2.Request, pairs string, at ...float64) *writev2.TimeSeries {
	symbols := writev2.NewSymbolTable()
	for _, s := range m.Symbols {
		symbols.Symbolize(s)
	}
	var ts writev2.TimeSeries
	for _, l := range timeSeries(pairs).Labels {
		ts.LabelsRefs = append(ts.LabelsRefs, symbols.Symbolize(l.Name), symbols.Symbolize(l.Value))
	}
	for i := 0; i+1 < len(at); i += 2 {
		ts.Samples = append(ts.Samples, writev2.Sample{Timestamp: int64(at[i]), Value: at[i+1]})
	}
	m.Symbols = symbols.Symbols()
	m.Timeseries = append(m.Timeseries, ts)
	return &m.Timeseries[len(m.Timeseries)-1]
}

func body2(t testing.TB, m *writev2.Request) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, b)
}

func request2(body []byte) *http.Request {
	r := request(body)
	r.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	return r
}

// What the specification forbids a sender is refused, with all of the request.
func TestMalformed2(t *testing.T) {
	type R = writev2.Request
	type S = writev2.TimeSeries
	hist := writev2.Histogram{Timestamp: 1000, Count: &writev2.Histogram_CountInt{CountInt: 1}}
	exemplar := func(labels []uint32, at int64) func(*R, *S) {
		return func(_ *R, s *S) {
			s.Exemplars = []writev2.Exemplar{{LabelsRefs: []uint32{7, 8}, Timestamp: 5}, {LabelsRefs: labels, Timestamp: at}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*R, *S)
		text   string // "": accepted
	}{
		{"good", func(*R, *S) {}, ""},
		{"no symbols", func(m *R, _ *S) { m.Symbols = nil }, "no symbols"},
		{"nothing at all", func(m *R, _ *S) { *m = R{} }, "no symbols"},
		{"no series", func(m *R, _ *S) { m.Timeseries = nil }, ""},
		{"first symbol", func(m *R, _ *S) { m.Symbols[0] = "zero" }, `symbol 0 is "zero"`},
		{"symbol twice", func(m *R, _ *S) { m.Symbols[7] = "node" }, `symbol 7 is symbol 4 again: "node"`},
		{"empty symbol twice", func(m *R, _ *S) { m.Symbols[7] = "" }, "symbol 7 is symbol 0 again"},
		{"symbol not UTF-8", func(m *R, _ *S) { m.Symbols[5] = "\xff" }, "symbol 5 is not UTF-8"},
		{"unused symbol not UTF-8", func(m *R, _ *S) { m.Symbols[8] = "\xc3" }, "symbol 8 is not UTF-8"},

		{"no labels", func(_ *R, s *S) { s.LabelsRefs = nil }, "time series 1: no labels"},
		{"odd references", func(_ *R, s *S) { s.LabelsRefs = []uint32{1, 2, 3} }, "3 references"},
		{"reference out of range", func(_ *R, s *S) { s.LabelsRefs[3] = 9 }, "label reference 9; the message has symbols 0 to 8"},
		{"reference far out of range", func(_ *R, s *S) { s.LabelsRefs[0] = math.MaxUint32 }, "label reference 4294967295"},
		{"no name", func(_ *R, s *S) { s.LabelsRefs = s.LabelsRefs[2:] }, "no label __name__"},
		{"not sorted", func(_ *R, s *S) { s.LabelsRefs = []uint32{3, 4, 1, 2} }, "label __name__ is not in order"},
		{"label twice", func(_ *R, s *S) { s.LabelsRefs = append(s.LabelsRefs, 3, 8) }, "label job comes twice"},
		{"empty label", func(_ *R, s *S) { s.LabelsRefs[3] = 0 }, "label job is empty"},
		{"label without a name", func(_ *R, s *S) { s.LabelsRefs = []uint32{0, 4, 1, 2} }, "empty name"},

		{"no sample", func(_ *R, s *S) { s.Samples = nil }, "neither a sample nor a histogram in {__name__=\"up\""},
		{"only an exemplar", func(m *R, s *S) { s.Samples = nil; exemplar(nil, 5)(m, s) }, "neither a sample nor a histogram"},
		{"sample and histogram", func(_ *R, s *S) { s.Histograms = []writev2.Histogram{hist} }, "samples and histograms"},
		{"start after the sample", func(_ *R, s *S) { s.Samples[0].StartTimestamp = 1001 }, "sample 0: start timestamp 1001 is after its timestamp 1000"},
		{"start at the sample", func(_ *R, s *S) { s.Samples[0].StartTimestamp = 1000 }, ""},
		{"no start before the epoch", func(_ *R, s *S) { s.Samples[0] = writev2.Sample{Timestamp: -5} }, ""},
		{"start after the histogram", func(_ *R, s *S) {
			h := hist
			s.Samples, h.StartTimestamp = nil, 2000
			s.Histograms = []writev2.Histogram{hist, h}
		}, "histogram 1: start timestamp 2000"},

		{"type too high", func(_ *R, s *S) { s.Metadata.Type = 8 }, "type 8; 0 to 7 are allowed"},
		{"type below zero", func(_ *R, s *S) { s.Metadata.Type = -1 }, "type -1"},
		{"type not said", func(_ *R, s *S) { s.Metadata.Type = 0 }, ""},
		{"help out of range", func(_ *R, s *S) { s.Metadata.HelpRef = 9 }, "help reference 9"},
		{"unit out of range", func(_ *R, s *S) { s.Metadata.UnitRef = 9 }, "unit reference 9"},

		{"exemplar", exemplar([]uint32{7, 8}, 5), ""},
		{"exemplar without labels", exemplar(nil, 5), ""},
		{"exemplar without timestamp", exemplar([]uint32{7, 8}, 0), "exemplar 1: no timestamp"},
		{"exemplar with odd references", exemplar([]uint32{7}, 5), "exemplar 1: 1 references"},
		{"exemplar out of range", exemplar([]uint32{7, 10}, 5), "exemplar 1: label reference 10"},
		{"exemplar label twice", exemplar([]uint32{7, 8, 7, 4}, 5), "exemplar 1: label trace_id comes twice"},
		{"exemplar not sorted", exemplar([]uint32{7, 8, 3, 4}, 5), "exemplar 1: label job is not in order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good2()
			c.change(m, &m.Timeseries[0])
			if len(m.Timeseries) > 0 && len(m.Symbols) > 0 { // a good one before the bad one would stay if it could
				m.Timeseries = append(good2().Timeseries, m.Timeseries...)
			}
			r := New(Options{})
			w := answer(r, request2(body2(t, m)))
			if c.text == "" {
				if w.Code != 204 {
					t.Errorf("answer = %d %q, want 204", w.Code, w.Body)
				}
				return
			}
			if w.Code != 400 || !strings.Contains(w.Body.String(), c.text) || counts(w.Header()) != "0 0 0" {
				t.Errorf("answer = %d %q, written %q; want 400 with %q, nothing written", w.Code, w.Body, counts(w.Header()), c.text)
			}
			if s := r.Stats(); len(r.Series()) != 0 || s.Refused != 1 || s.Samples+s.Exemplars != 0 || s.WireBytes != 0 {
				t.Errorf("a refused request left %s, counted %+v", dump(r), s)
			}
		})
	}
}

// A bad sample costs only itself.
func TestPartial(t *testing.T) {
	now := float64(time.Now().UnixMilli())
	for _, c := range []struct {
		name   string
		labels string
		at     []float64
		counts string // of the other series' sample, and of these
		text   string
		newest float64 // of the series afterwards; 0: there is none
	}{
		{"newer", "__name__=up", []float64{now + 1, 5}, "2 0 2", "", now + 1},
		{"same again", "__name__=up", []float64{now, 1}, "2 0 2", "", now},
		{"stale", "__name__=up", []float64{now + 1, math.Float64frombits(value.StaleNaN)}, "2 0 2", "", now + 1},
		{"same time, other value", "__name__=up", []float64{now, 2}, "1 0 2", "1 of 2 samples and histograms are not stored, the first of them: duplicate sample", now},
		{"older", "__name__=up", []float64{now - 1, 1}, "1 0 2", "out of order", now},
		{"one of three", "__name__=up", []float64{now + 1, 1, now - 1, 1, now + 2, 1}, "3 0 2", "1 of 4", now + 2},
		{"two of three", "__name__=up", []float64{now - 2, 1, now - 1, 1, now + 2, 1}, "2 0 2", "2 of 4", now + 2},
		{"too old", "__name__=up", []float64{now - 3600_001, 1}, "1 0 2", "out of bounds", now},
		{"ahead", "__name__=up", []float64{now + 700_000, 1}, "1 0 2", "too far in the future", now},
		{"a new series ahead", "__name__=fresh", []float64{now + 700_000, 1}, "1 0 1", "too far in the future", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(Options{Strict: true, KeepBytes: 1 << 20})
			send(r, request(body1(t, timeSeries("__name__=up", now, 1))))
			m := new(writev2.Request)
			series2(m, "__name__=good", now, 1).Exemplars = []writev2.Exemplar{{Timestamp: 5}}
			series2(m, c.labels, c.at...).Exemplars = []writev2.Exemplar{{Timestamp: 5}}
			w := answer(r, request2(body2(t, m)))
			want := map[bool]int{true: 204, false: 400}[c.text == ""]
			if w.Code != want || !strings.Contains(w.Body.String(), c.text) || counts(w.Header()) != c.counts {
				t.Errorf("answer = %d %q, written %q; want %d with %q, written %q", w.Code, w.Body, counts(w.Header()), want, c.text, c.counts)
			}
			if _, ok := r.Latest("good"); !ok {
				t.Error("the good sample is lost")
			}
			found := r.Select(strings.TrimPrefix(c.labels, "__name__="))
			if len(found) != map[bool]int{true: 1}[c.newest != 0] || len(found) == 1 && found[0].Newest.Time != int64(c.newest) {
				t.Errorf("stored %s, want the newest at %f", dump(r), c.newest)
			}
			s, floats, exemplars := r.Stats(), 0, 0
			fmt.Sscan(c.counts, &floats, new(int), &exemplars)
			if s.Samples+s.StaleMarkers != uint64(1+floats) || s.Exemplars != uint64(exemplars) || s.Requests2 != 1 || (s.Refused == 1) != (c.text != "") {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

// A store that is full makes the sender come again, so nothing may stay.
func TestBounds2(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		text    string
	}{
		{"series", Options{MaxSeries: 2}, "more than 2 series"},
		{"bytes", Options{KeepBytes: 3 * sampleBytes}, "bytes to keep"},
	} {
		r := New(c.options)
		send(r, request(body1(t, timeSeries("__name__=a", 1, 1))))
		before := dump(r)
		m := new(writev2.Request)
		series2(m, "__name__=a", 2, 1).Metadata.Type = writev2.Metadata_METRIC_TYPE_COUNTER
		series2(m, "__name__=b", 2, 1)
		series2(m, "__name__=c", 2, 1)
		w := answer(r, request2(body2(t, m)))
		if w.Code != 507 || counts(w.Header()) != "0 0 0" || !strings.Contains(w.Body.String(), c.text) || dump(r) != before {
			t.Errorf("%s: answer = %d %q, written %q, stored\n%s", c.name, w.Code, w.Body, counts(w.Header()), dump(r))
		}
	}
}

// histograms2 is one histogram as 2.0 and as 1.0 write it.
func histograms2(at int64) (writev2.Histogram, prompb.Histogram) {
	return writev2.Histogram{
			Count: &writev2.Histogram_CountInt{CountInt: 9}, ZeroCount: &writev2.Histogram_ZeroCountInt{ZeroCountInt: 2}, Sum: 4.5, Schema: 3,
			ZeroThreshold: 1e-9, NegativeSpans: []writev2.BucketSpan{{Offset: -2, Length: 1}}, NegativeDeltas: []int64{3},
			PositiveSpans: []writev2.BucketSpan{{Offset: 1, Length: 2}}, PositiveDeltas: []int64{1, -1}, CustomValues: []float64{7},
			ResetHint: writev2.Histogram_RESET_HINT_NO, Timestamp: at, StartTimestamp: 77,
		}, prompb.Histogram{
			Count: &prompb.Histogram_CountInt{CountInt: 9}, ZeroCount: &prompb.Histogram_ZeroCountInt{ZeroCountInt: 2}, Sum: 4.5, Schema: 3,
			ZeroThreshold: 1e-9, NegativeSpans: []prompb.BucketSpan{{Offset: -2, Length: 1}}, NegativeDeltas: []int64{3},
			PositiveSpans: []prompb.BucketSpan{{Offset: 1, Length: 2}}, PositiveDeltas: []int64{1, -1}, CustomValues: []float64{7},
			ResetHint: prompb.Histogram_NO, Timestamp: at,
		}
}

// What 2.0 carries beyond 1.0 arrives; and the same samples sent again by the
// other protocol, as after a fallback, are repetitions to a strict receiver.
func TestBothProtocols(t *testing.T) {
	r, now := New(Options{Strict: true}), time.Now().UnixMilli()
	h2, h1 := histograms2(now)
	m := good2()
	m.Timeseries[0].Samples[0] = writev2.Sample{Value: 1, Timestamp: now, StartTimestamp: 5}
	series2(m, "__name__=latency").Histograms = []writev2.Histogram{h2}
	ts := timeSeries("__name__=latency")
	ts.Histograms = []prompb.Histogram{h1}
	old := body1(t, timeSeries("__name__=up job=node", float64(now), 1), ts)
	for i, req := range []*http.Request{request2(body2(t, m)), request(old), request2(body2(t, m))} {
		w := answer(r, req)
		if w.Code != 204 || i != 1 && counts(w.Header()) != "1 1 0" {
			t.Fatalf("request %d: %d %q, written %q", i, w.Code, w.Body, counts(w.Header()))
		}
	}
	up, latency := r.Select("up")[0], r.Select("latency")[0]
	if up.Newest != (Sample{Time: now, Value: 1, Start: 5}) || up.Count != 3 {
		t.Errorf("up is %+v", up)
	}
	if got := latency.Newest; got.Start != 77 || got.Histogram.String() != h1.String() {
		t.Errorf("histogram is %+v, started %d; want %+v, 77", got.Histogram, got.Start, h1)
	}
}
