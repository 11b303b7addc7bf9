package receiver

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/http"
	"slices"
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
const sampleBytes = 32

// Sample is one stored value. Histogram replaces Value when it is not nil.
type Sample struct {
	Time      int64 // milliseconds since the epoch
	Value     float64
	Histogram *prompb.Histogram
	Start     int64 // when the counter began, milliseconds since the epoch, as 2.0 tells it; 0: not said
}

// Metadata is what a sender says of a metric family, or in 2.0 of a series.
type Metadata struct {
	Type       metric.Type
	Unit, Help string
}

// Stale says that s is a staleness marker.
func (s Sample) Stale() bool {
	if s.Histogram != nil {
		return value.IsStaleNaN(s.Histogram.Sum)
	}
	return value.IsStaleNaN(s.Value)
}

// same says that s and o are the same sample, down to the bits. The start does
// not count: a repetition by the other protocol has another.
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
	Metadata
}

// undo is how one series was before a request.
type undo struct {
	s      *series
	before series
	fresh  bool // the request made it
}

// store is a map from labels to samples. It does not lock.
type store struct {
	options  Options
	series   map[string]*series
	families map[string]Metadata // as 1.0 tells it
	newest   int64               // over all series; 0 before the first
	live     int
	kept     int64 // bytes in series.kept

	samples, histograms, stale, exemplars, metadata uint64

	// Of the request in hand.
	oldest, future int64          // the times that Strict takes
	labels         []metric.Label // of the series in hand
	key            []byte         // the same as key of series
	undo           []undo         // what the request has changed
}

func newStore(o Options) store {
	return store{options: o, series: make(map[string]*series), families: make(map[string]Metadata)}
}

// transact stores a request. When it fails, the store is as before.
func (s *store) transact(now time.Time, write func() error) error {
	s.undo = s.undo[:0]
	s.oldest, s.future = math.MinInt64, now.UnixMilli()+future
	if s.newest != 0 {
		s.oldest = s.newest - oldest
	}
	before := *s
	err := write()
	if err != nil {
		s.rollback(before)
	}
	clear(s.undo) // do not keep labels and histograms alive
	clear(s.labels[:cap(s.labels)])
	return err
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
	before.undo, before.key, before.labels = s.undo, s.key, s.labels
	*s = before
}

// find returns the series with the labels in hand, made when there is none,
// and notes how it was.
func (s *store) find() (*series, error) {
	s.key = s.key[:0]
	for _, l := range s.labels {
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
		found = &series{key: string(s.key), labels: slices.Clone(s.labels)}
		s.series[found.key] = found
	}
	s.undo = append(s.undo, undo{found, *found, !ok})
	return found, nil
}

// forget takes back the series that find has just made, for want of a sample.
func (s *store) forget(into *series) {
	delete(s.series, into.key)
	last := len(s.undo) - 1
	s.undo[last] = undo{}
	s.undo = s.undo[:last]
}

// misfit names the rule of Prometheus by which a strict receiver does not take
// v as a sample of into, or "".
func (s *store) misfit(into *series, v Sample) string {
	if !s.options.Strict {
		return ""
	}
	switch {
	case v.Time > s.future:
		return "too far in the future"
	case v.Time < s.oldest:
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

// misfits is the refusal of v for a reason.
func misfits(reason string, into *series, v Sample) error {
	return refuse(http.StatusBadRequest, "%s: time %d of %s", reason, v.Time, name(into.labels))
}

// add stores v as a sample of into.
func (s *store) add(into *series, v Sample) error {
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

// bytes is what v takes in memory.
func (s Sample) bytes() int64 {
	if s.Histogram != nil {
		return sampleBytes + 4*int64(s.Histogram.Size())
	}
	return sampleBytes
}
