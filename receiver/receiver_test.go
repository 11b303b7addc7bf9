package receiver

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"nodepush/metric"
)

// timeSeries makes a time series; pairs are label names and values, at is
// milliseconds and values in turn.
func timeSeries(pairs string, at ...float64) prompb.TimeSeries {
	var ts prompb.TimeSeries
	for pair := range strings.FieldsSeq(pairs) {
		name, value, _ := strings.Cut(pair, "=")
		ts.Labels = append(ts.Labels, prompb.Label{Name: name, Value: value})
	}
	for i := 0; i+1 < len(at); i += 2 {
		ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: int64(at[i]), Value: at[i+1]})
	}
	return ts
}

func body1(t testing.TB, series ...prompb.TimeSeries) []byte {
	t.Helper()
	m := prompb.WriteRequest{Timeseries: series}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, b)
}

func request(body []byte) *http.Request {
	r := httptest.NewRequest("POST", Path, bytes.NewReader(body))
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	r.Header.Set("User-Agent", "test/1")
	return r
}

// answer sends a request and returns all that comes back.
func answer(r *Receiver, req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// send returns the status and the text of the answer.
func send(r *Receiver, req *http.Request) (int, string) {
	w := answer(r, req)
	return w.Code, w.Body.String()
}

// dump shows all that is stored.
func dump(r *Receiver) string {
	type all Series // without the method String
	var b strings.Builder
	for _, s := range r.Series() {
		fmt.Fprintf(&b, "%+v\n", all(s))
	}
	return b.String()
}

func TestBody(t *testing.T) {
	name := func(s string) []byte { return body1(t, timeSeries(s, 1, 1)) }
	for _, c := range []struct {
		name string
		body []byte
		code int
		text string
	}{
		{"empty message", snappy.Encode(nil, nil), 204, ""},
		{"no snappy", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 400, "snappy"},
		{"torn snappy", body1(t, timeSeries("__name__=up", 1, 1))[:9], 400, "snappy"},
		{"no protobuf", snappy.Encode(nil, []byte{0x0a, 0x7f, 0x01}), 400, "truncated"},
		{"other protobuf", snappy.Encode(nil, []byte{0x08, 0x01}), 400, "field 1 has wire type 0 where a message"},
		{"a group", snappy.Encode(nil, []byte{0x4b, 0x4c}), 400, "wire type 3"},
		{"a field number of more than 32 bits", snappy.Encode(nil, []byte{0x8a, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00}), 400, "field number"},
		{"an endless label", name("__name__=m z=" + strings.Repeat("z", 1<<20) + " a=1"), 400, "label a is not in order"},
		{"a time series of nothing", snappy.Encode(nil, bytes.Repeat([]byte{0x0a, 0x00}, 1000)), 400, "no label __name__"},
		{"labels of nothing", body1(t, prompb.TimeSeries{Labels: make([]prompb.Label, 100)}), 400, "empty name"},
		{"no name", name("instance=somewhere job=node"), 400, "no label __name__"},
		{"empty label", name("__name__=some_metric cpu="), 400, "label cpu is empty"},
		{"label without a name", name("__name__=some_metric =value"), 400, "empty name"},
		{"not in order", name("__name__=some_metric b=1 a=1"), 400, "label a is not in order"},
		{"upper case after _", name("__name__=some_metric CPU=1"), 400, "label CPU is not in order"},
		{"upper case before _", name("CPU=1 __name__=some_metric"), 204, ""},
		{"twice", name("__name__=some_metric a=1 a=2"), 400, "label a comes twice"},
		{"not UTF-8", name("__name__=some_metric a=\xff"), 400, "not UTF-8"},
		{"too big", make([]byte, maxBody+1), 413, "longer than"},
		{"too big when decoded", snappy.Encode(nil, make([]byte, maxBody+1)), 400, "when decoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(Options{})
			if code, text := send(r, request(c.body)); code != c.code || !strings.Contains(text, c.text) {
				t.Errorf("answer = %d %q, want %d with %q", code, text, c.code, c.text)
			}
			if s := r.Stats(); c.code != 204 && (s.Refused != 1 || s.Samples != 0 || s.WireBytes != 0 || s.LastRefusal == "" || len(s.LastRefusal) > maxText+len("…")) {
				t.Errorf("stats of a refused request: %+v", s)
			}
		})
	}
}

// The rules of a Prometheus without an out-of-order window, each with a good
// sample of another series in the same request: that one is lost too.
func TestStrict(t *testing.T) {
	now := float64(time.Now().UnixMilli())
	for _, c := range []struct {
		name string
		at   []float64
		text string
	}{
		{"newer", []float64{now + 1, 5}, ""},
		{"same again", []float64{now, 1}, ""},
		{"stale", []float64{now + 1, math.Float64frombits(value.StaleNaN)}, ""},
		{"same time, other value", []float64{now, 2}, "duplicate sample"},
		{"older", []float64{now - 1, 1}, "out of order"},
		{"backwards within the request", []float64{now + 2, 1, now + 1, 1}, "out of order"},
		{"an hour old", []float64{now - 3600_001, 1}, "out of bounds"},
		{"ahead", []float64{now + 700_000, 1}, "too far in the future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(Options{Strict: true, KeepBytes: 1 << 20})
			if code, text := send(r, request(body1(t, timeSeries("__name__=up", now, 1)))); code != 204 {
				t.Fatal(code, text)
			}
			before := dump(r)
			code, text := send(r, request(body1(t, timeSeries("__name__=good", now+1, 1), timeSeries("__name__=up", c.at...))))
			if want := map[bool]int{true: 204, false: 400}[c.text == ""]; code != want || !strings.Contains(text, c.text) {
				t.Errorf("answer = %d %q, want %d with %q", code, text, want, c.text)
			}
			if after := dump(r); c.text != "" && after != before {
				t.Errorf("a refused request changed\n%s to\n%s", before, after)
			}
			if s := r.Stats(); c.text != "" && (s.Samples != 1 || s.Series != 1 || s.Refused != 1) {
				t.Errorf("a refused request was counted: %+v", s)
			}
		})
	}
}

// Without Strict samples are taken in any order, and the newest stays.
func TestAnyOrder(t *testing.T) {
	r := New(Options{KeepBytes: 1 << 20})
	for _, at := range []float64{5, 3, 9, 9, 1} {
		if code, text := send(r, request(body1(t, timeSeries("__name__=m", at, at)))); code != 204 {
			t.Fatal(code, text)
		}
	}
	s := r.Select("m")[0]
	if s.Newest.Time != 9 || s.Count != 5 || len(s.Samples) != 5 || s.Samples[1].Time != 3 {
		t.Errorf("stored %+v", s)
	}
}

func TestStaleMarkers(t *testing.T) {
	r := New(Options{Strict: true})
	now := float64(time.Now().UnixMilli())
	for i, v := range []float64{1, math.Float64frombits(value.StaleNaN), 2, math.NaN()} {
		send(r, request(body1(t, timeSeries("__name__=m a=1", now+float64(i), v))))
		live := map[bool]int{true: 1}[i != 1]
		if got := r.Stats().Series; got != live {
			t.Errorf("after sample %d: %d series live, want %d", i, got, live)
		}
		if _, ok := r.Latest("m"); ok != (live == 1) {
			t.Errorf("after sample %d: Latest = %v", i, ok)
		}
	}
	if s := r.Stats(); s.StaleMarkers != 1 || s.Samples != 3 {
		t.Errorf("counted %+v", s)
	}
}

func TestSelect(t *testing.T) {
	r := New(Options{})
	send(r, request(body1(t, timeSeries("__name__=cpu cpu=1 mode=idle", 1, 11), timeSeries("__name__=cpu cpu=0 mode=idle", 1, 10),
		timeSeries("__name__=cpu cpu=0 mode=user", 1, 20), timeSeries("__name__=load", 1, 3))))
	for _, c := range []struct {
		name   string
		labels []metric.Label
		want   string
	}{
		{"", nil, `[cpu{cpu="0",mode="idle"} cpu{cpu="0",mode="user"} cpu{cpu="1",mode="idle"} load]`},
		{"cpu", []metric.Label{{Name: "mode", Value: "idle"}}, `[cpu{cpu="0",mode="idle"} cpu{cpu="1",mode="idle"}]`},
		{"", []metric.Label{{Name: "cpu", Value: ""}}, `[load]`},
		{"none", nil, `[]`},
	} {
		if got := fmt.Sprint(r.Select(c.name, c.labels...)); got != c.want {
			t.Errorf("Select(%q, %v) = %s, want %s", c.name, c.labels, got, c.want)
		}
	}
	if _, ok := r.Latest("cpu"); ok {
		t.Error("Latest chose one of three series")
	}
	if s, ok := r.Latest("cpu", metric.Label{Name: "mode", Value: "user"}); !ok || s.Value != 20 {
		t.Errorf("Latest = %v, %v", s, ok)
	}
}

// What does not fit is refused as a whole, with a status that makes a sender
// try again, and is not half there.
func TestBounds(t *testing.T) {
	r := New(Options{MaxSeries: 2, KeepBytes: 3 * sampleBytes})
	one := func(name string, at ...float64) int {
		code, _ := send(r, request(body1(t, timeSeries("__name__=a", at...), timeSeries("__name__="+name, at...))))
		return code
	}
	for i, c := range []struct {
		name string
		at   []float64
		code int
	}{{"b", []float64{1, 1}, 204}, {"c", []float64{2, 1}, 507}, {"b", []float64{2, 1}, 507}} {
		if code := one(c.name, c.at...); code != c.code {
			t.Errorf("request %d: %d, want %d", i, code, c.code)
		}
	}
	if code, _ := send(r, request(body1(t, timeSeries("__name__=a", 2, 1)))); code != 204 {
		t.Errorf("a sample that fits: %d", code)
	}
	if s := r.Stats(); s.Series != 2 || s.Samples != 3 || s.Refused != 2 || s.Requests != 4 {
		t.Errorf("counted %+v", s)
	}
}

func TestHistogramsExemplarsMetadata(t *testing.T) {
	h := prompb.Histogram{Count: &prompb.Histogram_CountInt{CountInt: 3}, Sum: 4, Timestamp: time.Now().UnixMilli()}
	ts := timeSeries("__name__=latency")
	ts.Histograms = []prompb.Histogram{h, h}
	ts.Exemplars = []prompb.Exemplar{{Value: 1}}
	m := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{ts}, Metadata: []prompb.MetricMetadata{{MetricFamilyName: "latency"}}}
	b, _ := m.Marshal()
	r := New(Options{Strict: true})
	if code, text := send(r, request(snappy.Encode(nil, b))); code != 204 {
		t.Fatal(code, text)
	}
	if s := r.Stats(); s.Histograms != 2 || s.Exemplars != 1 || s.Metadata != 1 || s.Series != 1 {
		t.Errorf("counted %+v", s)
	}
	if got, _ := r.Latest("latency"); got.Histogram == nil || got.Histogram.Sum != 4 {
		t.Errorf("stored %+v", got)
	}
}

func TestAnswerHook(t *testing.T) {
	code := 0
	r := New(Options{Answer: func(*http.Request) int { return code }})
	for _, code = range []int{503, 200, 429, 0} {
		got, _ := send(r, request(body1(t, timeSeries("__name__=m", 1, 1))))
		if want := cmp.Or(code, 204); got != want {
			t.Errorf("answered %d, want %d", got, want)
		}
		if stored := len(r.Series()); stored != map[bool]int{true: 1}[code == 0] {
			t.Errorf("%d series stored after %d", stored, code)
		}
	}
}
