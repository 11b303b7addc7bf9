package writer

import (
	"math"
	"slices"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
)

// The two NaNs that may be on the wire: the marker that says that a series
// ended, and the one that stands for every NaN that was measured.
const (
	staleNaN  = 0x7ff0000000000002
	normalNaN = 0x7ff8000000000001
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

// point is one sample of a series in a request.
type point struct {
	time int64
	bits uint64      // of the float; not defined beside a histogram
	ext  *metric.Ext // nil for nearly all; checked: whole protobuf messages
}

// request builds the body of one request after another in the same memory. It
// chooses, groups and counts; a message writes the bytes.
//
//	items ─▶ by source ─▶ each series: points ─▶ left out? ─▶ message ─▶ snappy ─▶ body
type request struct {
	message message
	names   *identities
	body    []byte // as a snappy block

	points []point // of the series at hand
	group  []*decoded
	gone   []int // for each collection of group, how much of its gone is behind us
}

func newRequest(rules []*relabel.Config, m message) *request {
	return &request{message: m, names: newIdentities(rules, m)}
}

// speak makes m the message of all that follows.
func (r *request) speak(m message) {
	r.message, r.names = m, newIdentities(r.names.rules, m)
}

// encode sets the body to the collections' series in p. The collections of a
// source must be in the order of time; samples of a series share a TimeSeries.
// now decides which left out series are still left out.
func (r *request) encode(items []item, p part, now int64) tally {
	var t tally
	r.names.prepare(now)
	r.message.begin()
	for i, it := range items {
		if !firstOfSource(items, i) {
			continue
		}
		r.collect(items[i:], it.dict)
		r.appendSource(it.dict, p, &t)
	}
	if !t.empty() {
		raw := r.message.bytes()
		t.rawBytes, r.body = len(raw), r.compress(raw)
	}
	return t
}

// largeMessage is the size from which on it costs no more time to look harder
// for what repeats, and saves a tenth of the bytes. It is that of a backlog.
const largeMessage = 64 << 10

// compress returns a message as a snappy block, in the memory of the body.
func (r *request) compress(raw []byte) []byte {
	if len(raw) >= largeMessage {
		return s2.EncodeSnappyBetter(r.body[:cap(r.body)], raw)
	}
	return snappy.Encode(r.body[:cap(r.body)], raw)
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

// appendSource appends the series of the group that are in p.
func (r *request) appendSource(dict *dictionary, p part, t *tally) {
	names := r.names.of(dict)
	for id := p.from; id < min(p.to, len(dict.series)); id++ {
		n, markers := r.gather(id, t)
		if n+markers == 0 {
			continue
		}
		name := names.at(id)
		switch {
		case len(name) == 0:
			t.relabel += n
		case r.names.leftOut(name):
			t.leftOut += n
		default:
			t.samples, t.markers = t.samples+n, t.markers+markers
			t.newest = max(t.newest, r.group[len(r.group)-1].time)
			r.message.series(name, dict.series[id].start, r.points)
		}
	}
}

// gather makes points of what the group's collections have of a series and
// returns how many samples and markers that is.
func (r *request) gather(id int, t *tally) (samples, markers int) {
	r.points = r.points[:0]
	for i, c := range r.group {
		switch {
		case c.present.has(id):
			if r.gatherOne(c, id) {
				samples++
			} else {
				t.damaged++
			}
		case r.isGone(i, id):
			r.points = append(r.points, point{time: c.time, bits: staleNaN})
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

// gatherOne makes a point of one sample, or reports that its payload is no
// protobuf, which would cost the whole request.
func (r *request) gatherOne(c *decoded, id int) bool {
	p := point{time: c.time, bits: floatBits(c.values[id])}
	if len(c.ext) > 0 && c.ext[id] != nil {
		if p.ext = checkedExt(c.ext[id]); p.ext == nil {
			return false
		}
	}
	r.points = append(r.points, p)
	return true
}

// checkedExt returns ext without the exemplars that are no protobuf, or nil if
// that is true of its histogram.
func checkedExt(ext *metric.Ext) *metric.Ext {
	broken := func(b []byte) bool { _, ok := fieldAfter(b, math.MaxInt); return !ok }
	switch {
	case ext.Histogram != nil && broken(ext.Histogram):
		return nil
	case !slices.ContainsFunc(ext.Exemplars, broken):
		return ext
	}
	good := *ext
	good.Exemplars = slices.DeleteFunc(slices.Clone(ext.Exemplars), broken)
	return &good
}

// floatBits returns the bits of v; a NaN that was measured must not look like
// a marker (specification 1.0, "Stale Markers").
func floatBits(v float64) uint64 {
	if v != v {
		return normalNaN
	}
	return math.Float64bits(v)
}
