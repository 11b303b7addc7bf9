package writer

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/relabel"
)

// protocol is how a request announces what its body is.
type protocol struct {
	contentType string
	version     string // X-Prometheus-Remote-Write-Version
}

// protocol1 is remote write 1.0.
// https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
var protocol1 = protocol{
	contentType: "application/x-protobuf",
	version:     "0.1.0",
}

// The two NaNs that may be on the wire: the marker that says that a series
// ended, and the one that stands for every NaN that was measured.
const (
	staleNaN  = 0x7ff0000000000002
	normalNaN = 0x7ff8000000000001
)

// Field tags of prometheus.WriteRequest and its parts (types.proto).
const (
	tagSeries     = 1<<3 | 2 // WriteRequest.timeseries
	tagLabel      = 1<<3 | 2 // TimeSeries.labels
	tagSample     = 2<<3 | 2 // TimeSeries.samples
	tagExemplar   = 3<<3 | 2 // TimeSeries.exemplars
	tagHistogram  = 4<<3 | 2 // TimeSeries.histograms
	tagName       = 1<<3 | 2 // Label.name
	tagText       = 2<<3 | 2 // Label.value
	tagValue      = 1<<3 | 1 // Sample.value
	tagSampleTime = 2 << 3   // Sample.timestamp
	histogramTime = 15       // Histogram.timestamp
	tagHistTime   = histogramTime << 3
)

// part is the run of series [from, to) of a dictionary that a request carries.
type part struct{ from, to int }

// whole is every series.
var whole = part{0, math.MaxInt}

// tally counts what became of the samples of the collections in a request.
// Markers of staleness are not counted: nobody measured them.
type tally struct {
	samples  int   // in the request
	relabel  int   // dropped by write_relabel_configs
	leftOut  int   // left out, because the receiver rejects their series
	damaged  int   // a payload that is no protobuf
	markers  int   // of staleness, in the request
	newest   int64 // time of the newest sample in the request
	rawBytes int   // before compression
}

// empty reports whether there is nothing to send.
func (t tally) empty() bool { return t.samples+t.markers == 0 }

// request builds the body of one request after another in the same memory.
// Three places know that it is remote write 1.0: the texts of identities, the
// gather and append functions here, and protocol1. What groups, cuts, counts
// and leaves out series does not.
type request struct {
	names *identities

	raw, body                      []byte // prometheus.WriteRequest; the same as a snappy block
	samples, exemplars, histograms []byte // fields of the series at hand
	group                          []*decoded
	gone                           []int // for each collection of group, how much of its gone is behind us
}

func newRequest(rules []*relabel.Config) *request {
	return &request{names: newIdentities(rules)}
}

// encode sets the body to the collections' series in p. The collections of a
// source must be in the order of time; samples of a series share a TimeSeries.
// now decides which left out series are still left out.
func (r *request) encode(items []item, p part, now int64) tally {
	var t tally
	r.raw = r.raw[:0]
	r.names.forget(now)
	for i, it := range items {
		if !firstOfSource(items, i) {
			continue
		}
		r.collect(items[i:], it.dict)
		r.appendSource(it.dict, p, &t)
	}
	if t.rawBytes = len(r.raw); t.rawBytes > 0 {
		r.body = snappy.Encode(r.body[:cap(r.body)], r.raw)
	}
	return t
}

// firstOfSource reports whether no item before i has its dictionary. A batch
// has few sources, so looking back costs less than a map.
func firstOfSource(items []item, i int) bool {
	for _, it := range items[:i] {
		if it.dict == items[i].dict {
			return false
		}
	}
	return true
}

// collect gathers the collections of one dictionary.
func (r *request) collect(items []item, dict *dictionary) {
	r.group, r.gone = r.group[:0], r.gone[:0]
	for _, it := range items {
		if it.dict == dict {
			r.group, r.gone = append(r.group, it.decoded), append(r.gone, 0)
		}
	}
}

// appendSource appends a TimeSeries for each series of the group in p.
func (r *request) appendSource(dict *dictionary, p part, t *tally) {
	labels := r.names.of(dict)
	for id := p.from; id < min(p.to, len(dict.series)); id++ {
		n, markers := r.gather(id, t)
		if n+markers == 0 {
			continue
		}
		text := labels.at(id)
		switch {
		case len(text) == 0:
			t.relabel += n
		case r.names.leftOut(text):
			t.leftOut += n
		default:
			t.samples, t.markers = t.samples+n, t.markers+markers
			t.newest = max(t.newest, r.group[len(r.group)-1].time)
			r.appendSeries(text)
		}
	}
}

// appendSeries appends the series with what gather found. The parts come in
// the order of their field numbers, as prompb writes them.
func (r *request) appendSeries(labels []byte) {
	n := len(labels) + len(r.samples) + len(r.exemplars) + len(r.histograms)
	r.raw = append(r.raw, tagSeries)
	r.raw = binary.AppendUvarint(r.raw, uint64(n))
	r.raw = append(r.raw, labels...)
	r.raw = append(r.raw, r.samples...)
	r.raw = append(r.raw, r.exemplars...)
	r.raw = append(r.raw, r.histograms...)
}

// gather encodes what the group's collections have of a series and returns
// how many samples and markers that is.
func (r *request) gather(id int, t *tally) (samples, markers int) {
	r.samples, r.exemplars, r.histograms = r.samples[:0], r.exemplars[:0], r.histograms[:0]
	for i, c := range r.group {
		switch {
		case c.present.has(id):
			if r.gatherOne(c, id) {
				samples++
			} else {
				t.damaged++
			}
		case r.isGone(i, id):
			r.samples = appendSample(r.samples, staleNaN, c.time)
			markers++
		}
	}
	return samples, markers
}

// isGone reports whether series id ended with collection i of the group. It
// must be asked with rising ids: gone is ascending.
func (r *request) isGone(i, id int) bool {
	gone, n := r.group[i].gone, r.gone[i]
	for n < len(gone) && gone[n] < id {
		n++
	}
	r.gone[i] = n
	return n < len(gone) && gone[n] == id
}

// gatherOne encodes one sample with its exemplars, or reports that its
// payload is no protobuf, which would cost the whole request.
func (r *request) gatherOne(c *decoded, id int) bool {
	if len(c.ext) == 0 || c.ext[id] == nil {
		r.samples = appendSample(r.samples, floatBits(c.values[id]), c.time)
		return true
	}
	ext := c.ext[id]
	if ext.Histogram == nil {
		r.samples = appendSample(r.samples, floatBits(c.values[id]), c.time)
	} else {
		at, ok := fieldAfter(ext.Histogram, histogramTime)
		if !ok {
			return false
		}
		r.histograms = appendHistogram(r.histograms, ext.Histogram, at, c.time)
	}
	for _, e := range ext.Exemplars {
		if _, ok := fieldAfter(e, math.MaxInt); ok {
			r.exemplars = appendBytes(r.exemplars, tagExemplar, e)
		}
	}
	return true
}

// floatBits returns the bits of v; a NaN that was measured must not look like
// a marker (specification 1.0, "Stale Markers").
func floatBits(v float64) uint64 {
	if v != v {
		return normalNaN
	}
	return math.Float64bits(v)
}

// appendSample appends field TimeSeries.samples. Zeros are left out, as
// proto3 does; prompb counts -0 among them.
func appendSample(dst []byte, bits64 uint64, time int64) []byte {
	n := 0
	zero := bits64&^(1<<63) == 0
	if !zero {
		n += 9
	}
	if time != 0 {
		n += 1 + uvarintLen(uint64(time))
	}
	dst = append(dst, tagSample, byte(n)) // at most 20
	if !zero {
		dst = binary.LittleEndian.AppendUint64(append(dst, tagValue), bits64)
	}
	if time != 0 {
		dst = binary.AppendUvarint(append(dst, tagSampleTime), uint64(time))
	}
	return dst
}

// appendHistogram appends field TimeSeries.histograms with the time put in at
// its place, which is offset at of the payload.
func appendHistogram(dst, payload []byte, at int, time int64) []byte {
	n := len(payload)
	if time != 0 {
		n += 1 + uvarintLen(uint64(time))
	}
	dst = binary.AppendUvarint(append(dst, tagHistogram), uint64(n))
	dst = append(dst, payload[:at]...)
	if time != 0 {
		dst = binary.AppendUvarint(append(dst, tagHistTime), uint64(time))
	}
	return append(dst, payload[at:]...)
}

// appendBytes appends a field of wire type 2.
func appendBytes(dst []byte, tag byte, b []byte) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(b)))
	return append(dst, b...)
}

// uvarintLen returns how many bytes v takes.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
