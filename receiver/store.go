package receiver

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"nodepush/metric"
)

// Bounds of a Prometheus without an out-of-order window: half of its two-hour
// block range back from the newest sample it has, ten minutes ahead of its clock.
const (
	oldest = int64(time.Hour / time.Millisecond)
	future = int64(10 * time.Minute / time.Millisecond)
)

// sampleBytes is what a kept sample takes in memory.
const sampleBytes = 24

// Sample is one stored value. Histogram replaces Value when it is not nil.
type Sample struct {
	Time      int64 // milliseconds since the epoch
	Value     float64
	Histogram *prompb.Histogram
}

// Stale says that s is a staleness marker.
func (s Sample) Stale() bool {
	if s.Histogram != nil {
		return value.IsStaleNaN(s.Histogram.Sum)
	}
	return value.IsStaleNaN(s.Value)
}

// same says that s and o are the same sample, down to the bits.
func (s Sample) same(o Sample) bool {
	if s.Histogram != nil && o.Histogram != nil {
		a, _ := s.Histogram.Marshal() // of a decoded message; cannot fail
		b, _ := o.Histogram.Marshal()
		return bytes.Equal(a, b)
	}
	return s.Histogram == nil && o.Histogram == nil && math.Float64bits(s.Value) == math.Float64bits(o.Value)
}

// series is what is stored under one set of labels.
type series struct {
	key    string
	labels []metric.Label
	newest Sample
	live   bool     // newest is no staleness marker
	count  uint64   // samples accepted, markers and repetitions included
	kept   []Sample // every one of them, in the order of arrival
}

// undo is how one series was before a request.
type undo struct {
	s      *series
	before series
	fresh  bool // the request made it
}

// store is a map from labels to samples. It does not lock.
type store struct {
	options Options
	series  map[string]*series
	newest  int64 // over all series; 0 before the first
	live    int
	kept    int64 // bytes in series.kept

	samples, histograms, stale, exemplars, metadata uint64

	key  []byte // scratch
	undo []undo // what the request in hand has changed
}

func newStore(o Options) store { return store{options: o, series: make(map[string]*series)} }

// write stores all of m, or nothing and says why.
func (s *store) write(m *prompb.WriteRequest, now time.Time) error {
	before := *s
	s.undo = s.undo[:0]
	limit := now.UnixMilli() + future
	for i := range m.Timeseries {
		if err := s.writeSeries(&m.Timeseries[i], before.newest, limit); err != nil {
			s.rollback(before)
			return err
		}
	}
	s.metadata += uint64(len(m.Metadata))
	clear(s.undo) // do not keep labels and histograms alive
	return nil
}

// rollback undoes what the request in hand has changed.
func (s *store) rollback(before store) {
	for i := len(s.undo) - 1; i >= 0; i-- {
		u := s.undo[i]
		if u.fresh {
			delete(s.series, u.s.key)
		}
		*u.s = u.before
	}
	clear(s.undo)
	before.undo, before.key = s.undo, s.key
	*s = before
}

// writeSeries stores the samples of one time series.
func (s *store) writeSeries(ts *prompb.TimeSeries, newest, limit int64) error {
	s.exemplars += uint64(len(ts.Exemplars))
	if len(ts.Samples) == 0 && len(ts.Histograms) == 0 {
		return nil
	}
	into, err := s.find(ts.Labels)
	if err != nil {
		return err
	}
	for _, v := range ts.Samples {
		if err := s.add(into, Sample{Time: v.Timestamp, Value: v.Value}, newest, limit); err != nil {
			return err
		}
	}
	for i := range ts.Histograms {
		h := &ts.Histograms[i]
		if err := s.add(into, Sample{Time: h.Timestamp, Histogram: h}, newest, limit); err != nil {
			return err
		}
	}
	return nil
}

// find returns the series with these labels, made when there is none, and
// notes how it was.
func (s *store) find(labels []prompb.Label) (*series, error) {
	s.key = s.key[:0]
	for _, l := range labels {
		s.key = binary.AppendUvarint(s.key, uint64(len(l.Name)))
		s.key = append(s.key, l.Name...)
		s.key = binary.AppendUvarint(s.key, uint64(len(l.Value)))
		s.key = append(s.key, l.Value...)
	}
	found, ok := s.series[string(s.key)]
	if !ok {
		if len(s.series) >= s.options.MaxSeries {
			return nil, refuse(http.StatusInsufficientStorage, "more than %d series", s.options.MaxSeries)
		}
		found = &series{key: string(s.key), labels: make([]metric.Label, len(labels))}
		for i, l := range labels {
			found.labels[i] = metric.Label{Name: l.Name, Value: l.Value}
		}
		s.series[found.key] = found
	}
	s.undo = append(s.undo, undo{found, *found, !ok})
	return found, nil
}

// add stores v as a sample of into.
func (s *store) add(into *series, v Sample, newest, limit int64) error {
	if s.options.Strict {
		if reason := into.refuses(v, newest, limit); reason != "" {
			return refuse(http.StatusBadRequest, "%s: time %d of %s", reason, v.Time, name(into.labels))
		}
	}
	if s.options.KeepBytes > 0 {
		if s.kept += v.bytes(); s.kept > s.options.KeepBytes {
			return refuse(http.StatusInsufficientStorage, "samples take more than the %d bytes to keep", s.options.KeepBytes)
		}
		into.kept = append(into.kept, v)
	}
	s.count(v)
	if into.count++; into.count == 1 || v.Time >= into.newest.Time {
		s.setNewest(into, v)
	}
	return nil
}

// setNewest makes v the newest sample of into.
func (s *store) setNewest(into *series, v Sample) {
	was := into.live
	into.newest, into.live = v, !v.Stale()
	s.newest = max(s.newest, v.Time)
	if was && !into.live {
		s.live--
	}
	if !was && into.live {
		s.live++
	}
}

// count counts v by what it is.
func (s *store) count(v Sample) {
	switch {
	case v.Stale():
		s.stale++
	case v.Histogram != nil:
		s.histograms++
	default:
		s.samples++
	}
}

// refuses says why a strict receiver does not take v, or "". The newest
// sample of the store is the one before the request.
func (into *series) refuses(v Sample, newest, limit int64) string {
	switch {
	case v.Time > limit:
		return "too far in the future"
	case newest != 0 && v.Time < newest-oldest:
		return "out of bounds"
	case into.count == 0 || v.Time > into.newest.Time:
		return ""
	case v.Time < into.newest.Time:
		return "out of order sample"
	case !v.same(into.newest):
		return "duplicate sample for timestamp"
	}
	return ""
}

// bytes is what v takes in memory.
func (s Sample) bytes() int64 {
	if s.Histogram != nil {
		return sampleBytes + 4*int64(s.Histogram.Size())
	}
	return sampleBytes
}
