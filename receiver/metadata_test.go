package receiver

import (
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"nodepush/metric"
)

// A series has what 2.0 last said of it, and 1.0 does not touch that.
func TestSeriesMetadata(t *testing.T) {
	r, m := New(Options{}), good2()
	up := func() Metadata { return r.Select("up")[0].Metadata }
	send(r, request(body1(t, timeSeries("__name__=up job=node", 1, 1))))
	if got := up(); got != (Metadata{}) {
		t.Errorf("1.0 said %+v of a series", got)
	}
	send(r, request2(body2(t, m)))
	if got := up(); got != (Metadata{metric.Gauge, "ratio", "Is it up."}) {
		t.Errorf("2.0 said %+v of a series", got)
	}
	send(r, request(body1(t, timeSeries("__name__=up job=node", 2000, 1))))
	if got := up(); got.Type != metric.Gauge {
		t.Errorf("1.0 made it %+v", got)
	}
	m.Timeseries[0].Metadata = writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_STATESET}
	send(r, request2(body2(t, m)))
	if got := up(); got != (Metadata{Type: metric.StateSet}) {
		t.Errorf("2.0 said %+v at last", got)
	}
	if _, ok := r.Metadata("up"); ok {
		t.Error("2.0 described a family")
	}
}

// families sends what 1.0 says of metric families, beside a good sample of up.
func families(t *testing.T, r *Receiver, families ...prompb.MetricMetadata) (int, string) {
	t.Helper()
	m := prompb.WriteRequest{Metadata: families, Timeseries: []prompb.TimeSeries{timeSeries("__name__=up", 1, 1)}}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return send(r, request(snappy.Encode(nil, b)))
}

func TestFamilyMetadata(t *testing.T) {
	r := New(Options{MaxSeries: 3})
	load := prompb.MetricMetadata{Type: 2, MetricFamilyName: "node_load1", Help: "Load.", Unit: "ratio"}
	cpu := prompb.MetricMetadata{Type: 1, MetricFamilyName: "node_cpu_seconds", Unit: "seconds"}
	if code, text := families(t, r, load, cpu); code != 204 {
		t.Fatal(code, text)
	}
	load.Help = "The load."
	if code, text := families(t, r, load); code != 204 {
		t.Fatal(code, text)
	}
	for family, want := range map[string]Metadata{
		"node_load1":       {metric.Gauge, "ratio", "The load."},
		"node_cpu_seconds": {Type: metric.Counter, Unit: "seconds"},
	} {
		if got, ok := r.Metadata(family); !ok || got != want {
			t.Errorf("Metadata(%s) = %+v, %v; want %+v", family, got, ok, want)
		}
	}
	if got, ok := r.Metadata("up"); ok {
		t.Errorf("Metadata(up) = %+v, which nobody sent", got)
	}
	if s := r.Stats(); s.Metadata != 3 {
		t.Errorf("counted %+v", s)
	}
}

// What is refused leaves neither metadata nor the sample beside it.
func TestBadFamilyMetadata(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  []prompb.MetricMetadata
		code int
		text string
	}{
		{"no name", []prompb.MetricMetadata{{Type: 1}}, 400, "metadata 1: no name"},
		{"type too high", []prompb.MetricMetadata{{Type: 8, MetricFamilyName: "a"}}, 400, "metadata 1: type 8; 0 to 7"},
		{"type below zero", []prompb.MetricMetadata{{Type: -1, MetricFamilyName: "a"}}, 400, "type -1"},
		{"not UTF-8", []prompb.MetricMetadata{{MetricFamilyName: "a", Help: "\xff"}}, 400, "not UTF-8"},
		{"too many", []prompb.MetricMetadata{{MetricFamilyName: "a"}, {MetricFamilyName: "b"}}, 507, "more than 2 families"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(Options{MaxSeries: 2})
			good := prompb.MetricMetadata{Type: 1, MetricFamilyName: "good"}
			code, text := families(t, r, append([]prompb.MetricMetadata{good}, c.bad...)...)
			if code != c.code || !strings.Contains(text, c.text) {
				t.Errorf("answer = %d %q, want %d with %q", code, text, c.code, c.text)
			}
			if _, ok := r.Metadata("good"); ok || len(r.Series()) != 0 || r.Stats().Metadata != 0 {
				t.Errorf("a refused request left metadata (%v) or %s", ok, dump(r))
			}
		})
	}
}
