package receiver

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// field is a protobuf field with a length.
func field(number int, payload []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(number)<<3|wireBytes)
	return append(binary.AppendUvarint(b, uint64(len(payload))), payload...)
}

// Messages of what is tiny on the wire and large in memory; fill returns that
// many bytes of it.
var amplifiers = []struct {
	name  string
	shape shape
	fill  func(bytes int) []byte
}{
	{"series of 1.0", request1Shape, func(n int) []byte { return bytes.Repeat(field(1, nil), n/2) }},
	{"labels of 1.0", request1Shape, func(n int) []byte { return field(1, bytes.Repeat(field(1, nil), n/2)) }},
	{"samples of 1.0", request1Shape, func(n int) []byte { return field(1, bytes.Repeat(field(2, nil), n/2)) }},
	{"exemplars of 1.0", request1Shape, func(n int) []byte { return field(1, bytes.Repeat(field(3, nil), n/2)) }},
	{"exemplars' labels of 1.0", request1Shape, func(n int) []byte { return field(1, field(3, bytes.Repeat(field(1, nil), n/2))) }},
	{"histograms of 1.0", request1Shape, func(n int) []byte { return field(1, bytes.Repeat(field(4, nil), n/2)) }},
	{"negative spans of 1.0", request1Shape, func(n int) []byte { return field(1, field(4, bytes.Repeat(field(8, nil), n/2))) }},
	{"positive spans of 1.0", request1Shape, func(n int) []byte { return field(1, field(4, bytes.Repeat(field(11, nil), n/2))) }},
	{"negative buckets of 1.0", request1Shape, func(n int) []byte { return field(1, field(4, field(9, make([]byte, n)))) }},
	{"positive buckets of 1.0", request1Shape, func(n int) []byte { return field(1, field(4, bytes.Repeat([]byte{12 << 3, 1}, n/2))) }},
	{"bounds of 1.0", request1Shape, func(n int) []byte { return field(1, field(4, field(16, make([]byte, n&^7)))) }},
	{"metadata of 1.0", request1Shape, func(n int) []byte { return bytes.Repeat(field(3, nil), n/2) }},
	{"what nobody knows", request1Shape, func(n int) []byte { return bytes.Repeat(field(9, []byte("abcdef")), n/8) }},
	{"symbols of 2.0", request2Shape, func(n int) []byte { return bytes.Repeat(field(4, nil), n/2) }},
	{"series of 2.0", request2Shape, func(n int) []byte { return bytes.Repeat(field(5, nil), n/2) }},
	{"references of 2.0", request2Shape, func(n int) []byte { return field(5, field(1, make([]byte, n))) }},
	{"single references of 2.0", request2Shape, func(n int) []byte { return field(5, bytes.Repeat([]byte{1 << 3, 1}, n/2)) }},
	{"samples of 2.0", request2Shape, func(n int) []byte { return field(5, bytes.Repeat(field(2, nil), n/2)) }},
	{"histograms of 2.0", request2Shape, func(n int) []byte { return field(5, bytes.Repeat(field(3, nil), n/2)) }},
	{"spans of 2.0", request2Shape, func(n int) []byte { return field(5, field(3, bytes.Repeat(field(11, nil), n/2))) }},
	{"buckets of 2.0", request2Shape, func(n int) []byte { return field(5, field(3, field(12, make([]byte, n)))) }},
	{"exemplars of 2.0", request2Shape, func(n int) []byte { return field(5, bytes.Repeat(field(4, nil), n/2)) }},
	{"exemplars' references of 2.0", request2Shape, func(n int) []byte { return field(5, field(4, field(1, make([]byte, n)))) }},
}

// heap is what is in use after a collection.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A message takes no more memory than was foretold, but for the room that
// append leaves in a slice.
func TestMemory(t *testing.T) {
	for _, c := range amplifiers {
		t.Run(c.name, func(t *testing.T) {
			raw := c.fill(1 << 17)
			foretold, err := c.shape.memory(raw)
			if err != nil {
				t.Fatal(err)
			}
			var m interface{ Unmarshal([]byte) error } = new(prompb.WriteRequest)
			if strings.HasSuffix(c.name, "2.0") {
				m = new(writev2.Request)
			}
			before := heap()
			if err := m.Unmarshal(raw); err != nil {
				t.Fatal(err)
			}
			if took := heap() - before; took > int(foretold)*13/10+1<<16 {
				t.Errorf("%d bytes of a body took %d bytes, foretold %d", len(raw), took, foretold)
			}
			runtime.KeepAlive(m)
		})
	}
}

// A body as large as is allowed is refused before it fills the memory.
func TestLarge(t *testing.T) {
	for _, c := range amplifiers {
		switch c.name {
		default:
			continue
		case "series of 1.0", "histograms of 1.0", "symbols of 2.0", "histograms of 2.0":
		}
		t.Run(c.name, func(t *testing.T) {
			req := request
			if strings.HasSuffix(c.name, "2.0") {
				req = request2
			}
			body := snappy.Encode(nil, c.fill(maxBody-64))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			code, text := send(New(Options{}), req(body))
			runtime.ReadMemStats(&after)
			took := after.TotalAlloc - before.TotalAlloc
			if code != 400 || !strings.Contains(text, "bytes of memory when decoded") || took > 2*maxBody {
				t.Errorf("answer %d %q after %d bytes of memory", code, text, took)
			}
		})
	}
}

// References can name a long symbol again and again.
func TestExpansion(t *testing.T) {
	m := new(writev2.Request)
	m.Symbols = []string{"", "__name__", "a", "b", "c", "d", "e", strings.Repeat("long", 1<<18)}
	for range 60 { // 5 MiB each
		m.Timeseries = append(m.Timeseries, writev2.TimeSeries{
			LabelsRefs: []uint32{1, 7, 2, 7, 3, 7, 4, 7, 5, 7},
			Samples:    []writev2.Sample{{Timestamp: 1}},
		})
	}
	for _, c := range []struct{ series, code int }{{60, 400}, {1, 204}} {
		m.Timeseries = m.Timeseries[:c.series]
		r := New(Options{})
		if code, text := send(r, request2(body2(t, m))); code != c.code || code == 400 && !strings.Contains(text, "labels of the message take more than") {
			t.Errorf("%d series: %d %q", c.series, code, text)
		}
	}
	m.Timeseries[0].Exemplars = []writev2.Exemplar{{Timestamp: 1, LabelsRefs: slices.Repeat([]uint32{7}, 600)}}
	if code, text := send(New(Options{}), request2(body2(t, m))); code != 400 || !strings.Contains(text, "exemplar 0: the labels of the message") {
		t.Errorf("an exemplar of many labels: %d %q", code, text)
	}
}

// Whatever arrives, nothing panics, what is refused leaves no trace, and the
// counts agree with each other.
func fuzz(t *testing.T, body []byte, compress bool, request func([]byte) *http.Request) {
	if compress {
		body = snappy.Encode(nil, body)
	}
	r := New(Options{Strict: true, KeepBytes: 1 << 16, MaxSeries: 100})
	seed := new(writev2.Request)
	series2(seed, "__name__=up", 1, 1)
	send(r, request2(body2(t, seed)))
	before, samples := dump(r), r.Stats().Samples
	w := answer(r, request(body))
	total := counts(w.Header())
	partial := w.Code == 400 && total != "" && total != "0 0 0"
	switch {
	case w.Code == 204:
	case w.Code < 400 || w.Body.Len() == 0:
		t.Errorf("answer %d %q", w.Code, w.Body)
	case !partial && dump(r) != before:
		t.Errorf("refused with %d %q, but stored", w.Code, w.Body)
	}
	live := 0
	for _, s := range r.Series() {
		if s.Live {
			live++
		}
		if s.Count == 0 || len(s.Samples) != int(s.Count) || s.Label("__name__") == "" {
			t.Errorf("stored %+v", s)
		}
	}
	if got := r.Stats(); got.Series != live || (w.Code != 204 && !partial) && got.Samples != samples {
		t.Errorf("%d series are live; counted %+v", live, got)
	}
}

func FuzzReceiver(f *testing.F) {
	for _, ts := range []prompb.TimeSeries{timeSeries("__name__=up", 1, 1), timeSeries("__name__=a b=c", 5, 1, 4, 2), timeSeries("")} {
		m := prompb.WriteRequest{
			Timeseries: []prompb.TimeSeries{ts, timeSeries("__name__=up", 2, 2)},
			Metadata:   []prompb.MetricMetadata{{Type: 1, MetricFamilyName: "up", Help: "h"}},
		}
		b, _ := m.Marshal()
		f.Add(b, true)
		f.Add(snappy.Encode(nil, b), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, compress bool) { fuzz(t, body, compress, request) })
}

func FuzzReceiver2(f *testing.F) {
	partial, full := new(writev2.Request), good2()
	series2(partial, "__name__=up", 2, 1, 0, 1).Exemplars = []writev2.Exemplar{{Timestamp: 1}}
	h, _ := histograms2(1000)
	series2(full, "__name__=latency").Histograms = []writev2.Histogram{h}
	full.Timeseries[0].Exemplars = []writev2.Exemplar{{LabelsRefs: []uint32{7, 8}, Timestamp: 1}}
	for _, m := range []*writev2.Request{good2(), partial, full, {}} {
		b, _ := m.Marshal()
		f.Add(b, true)
		f.Add(snappy.Encode(nil, b), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, compress bool) { fuzz(t, body, compress, request2) })
}
