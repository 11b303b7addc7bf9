package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// The Content-Types that remote write knows: 1.0 names no message.
const (
	content1 = "application/x-protobuf"
	content2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// sink takes requests of both protocols and counts what arrives: the same for
// every stack.
type sink struct {
	answer   func(w http.ResponseWriter, v2 bool, n int) bool // may answer the nth request itself: then it is not taken
	down     atomic.Bool                                      // answers 503
	requests atomic.Int64
	samples  atomic.Int64
	bytes    atomic.Int64
	mu       sync.Mutex
	newest   map[string]float64 // last value of the series that the report needs, by name
	loads    int64              // samples of node_load1: one a round
	all      []request          // in the order of arrival, but for those while it was down
}

// request is what one request held.
type request struct {
	v2      bool
	taken   bool
	bytes   int // compressed
	samples int
	rounds  []int64 // times of node_load1
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || s.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	req := request{v2: r.Header.Get("Content-Type") == content2, bytes: len(body)}
	series, err := decode(body, req.v2)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, one := range series {
		req.samples += len(one.samples)
		if one.labels.Get("__name__") == "node_load1" {
			for _, p := range one.samples {
				req.rounds = append(req.rounds, p.at)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	req.taken = s.answer == nil || !s.answer(w, req.v2, len(s.all))
	s.all = append(s.all, req)
	if req.taken {
		s.take(req, series)
		accept(w, req.v2, req.samples)
	}
}

// take counts a request. s.mu is held.
func (s *sink) take(req request, series []taken) {
	s.requests.Add(1)
	s.samples.Add(int64(req.samples))
	s.bytes.Add(int64(req.bytes))
	s.loads += int64(len(req.rounds))
	for _, one := range series {
		name := one.labels.Get("__name__")
		if n := len(one.samples); n > 0 && (strings.HasPrefix(name, "go_memstats_mallocs") || strings.HasPrefix(name, "nodepush_")) {
			if s.newest == nil {
				s.newest = make(map[string]float64)
			}
			value := one.samples[n-1].value()
			s.newest[name], s.newest[one.labels.String()] = value, value
		}
	}
}

// accept answers as a receiver that has written n samples.
func accept(w http.ResponseWriter, v2 bool, n int) {
	if v2 {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(n))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
	}
	w.WriteHeader(http.StatusNoContent)
}

// taken is one time series of a request.
type taken struct {
	labels  labels.Labels
	samples []point
}

// decode reads a body with Prometheus' own messages.
func decode(body []byte, v2 bool) (list []taken, err error) {
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, err
	}
	builder := labels.NewScratchBuilder(16)
	if v2 {
		return decode2(raw, &builder)
	}
	var req prompb.WriteRequest
	if err := req.Unmarshal(raw); err != nil {
		return nil, err
	}
	for _, ts := range req.Timeseries {
		one := taken{labels: ts.ToLabels(&builder, nil)}
		for _, s := range ts.Samples {
			one.samples = append(one.samples, pointOf(s.Timestamp, s.Value))
		}
		list = append(list, one)
	}
	return list, nil
}

func decode2(raw []byte, builder *labels.ScratchBuilder) (list []taken, err error) {
	var req writev2.Request
	if err := req.Unmarshal(raw); err != nil {
		return nil, err
	}
	if len(req.Symbols) == 0 || req.Symbols[0] != "" {
		return nil, fmt.Errorf("the first symbol is not empty")
	}
	for _, ts := range req.Timeseries {
		l, err := ts.ToLabels(builder, req.Symbols)
		if err != nil {
			return nil, err
		}
		one := taken{labels: l}
		for _, s := range ts.Samples {
			one.samples = append(one.samples, pointOf(s.Timestamp, s.Value))
		}
		list = append(list, one)
	}
	return list, nil
}

// rounds returns how many rounds have arrived.
func (s *sink) rounds() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

// value returns the newest value of a metric, or of a series with its labels
// as Prometheus writes them.
func (s *sink) value(name string) (value float64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok = s.newest[name]
	return value, ok
}

// received returns the requests so far.
func (s *sink) received() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.all...)
}
