package writer

import (
	"encoding/binary"

	"nodepush/metric"
)

// Field tags of io.prometheus.write.v2.Request and its parts
// (io/prometheus/write/v2/types.proto).
const (
	tagSymbol2       = 4<<3 | 2 // Request.symbols
	tagSeries2       = 5<<3 | 2 // Request.timeseries
	tagRefs2         = 1<<3 | 2 // TimeSeries.labels_refs and Exemplar.labels_refs, packed
	tagHistogram2    = 3<<3 | 2 // TimeSeries.histograms
	tagExemplar2     = 4<<3 | 2 // TimeSeries.exemplars
	tagMetadata2     = 5<<3 | 2 // TimeSeries.metadata
	tagSampleStart2  = 3 << 3   // Sample.start_timestamp
	tagHistStart2    = 17 << 3  // Histogram.start_timestamp
	tagType2         = 1 << 3   // Metadata.type
	tagHelp2         = 3 << 3   // Metadata.help_ref
	tagUnit2         = 4 << 3   // Metadata.unit_ref
	tagExemplarTime2 = 3 << 3   // Exemplar.timestamp
)

// message2 writes io.prometheus.write.v2.Request, the message of remote write
// 2.0. An identity is numbers of symbols: unit, help, then names and values,
// behind a byte for the type. The parts come in the order of their field
// numbers; some receivers need the symbols before what refers to them.
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/#protobuf-message
type message2 struct {
	help    bool // send help texts
	symbols symbols

	whole      []byte
	timeseries []byte // fields Request.timeseries
	refs       []byte // packed field of the series at hand
	meta       []byte // Metadata of the series at hand
	points     []byte // fields of the TimeSeries at hand
	exemplars  []byte // fields of the TimeSeries at hand
	one        []byte // message at hand
	packed     []byte // refs of the exemplar at hand
}

func newMessage2(help bool) *message2 {
	m := &message2{help: help}
	m.symbols.reset()
	return m
}

func (m *message2) identify(dst []byte, d *metric.Desc, labels labelRange) []byte {
	help := uint32(0)
	if m.help {
		help = m.symbols.number(d.Help)
	}
	dst = appendNumber(append(dst, byte(d.Type)), help)
	dst = appendNumber(dst, m.symbols.number(d.Unit))
	labels(func(name, value string) {
		dst = appendNumber(dst, m.symbols.number(name))
		dst = appendNumber(dst, m.symbols.number(value))
	})
	return dst
}

func (m *message2) full() bool {
	if !m.symbols.full() {
		return false
	}
	m.symbols.reset()
	return true
}

func (m *message2) begin() {
	m.symbols.begin()
	m.timeseries = m.timeseries[:0]
}

func (m *message2) bytes() []byte {
	m.whole = append(append(m.whole[:0], m.symbols.raw...), m.timeseries...)
	return m.whole
}

// series adds a TimeSeries, or several where floats and histograms alternate:
// one may not have both.
func (m *message2) series(identity []byte, start int64, points []point) {
	m.resolve(identity)
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].isHistogram() == points[0].isHistogram() {
			n++
		}
		m.run(start, points[:n])
		points = points[n:]
	}
}

func (p *point) isHistogram() bool { return p.ext != nil && p.ext.Histogram != nil }

// resolve sets what all TimeSeries of a series begin and end with.
func (m *message2) resolve(identity []byte) {
	kind, rest := identity[0], identity[1:]
	help, rest := nextNumber(rest)
	unit, rest := nextNumber(rest)
	m.one = m.one[:0]
	for len(rest) > 0 {
		var n uint32
		n, rest = nextNumber(rest)
		m.one = binary.AppendUvarint(m.one, uint64(m.symbols.ref(n)))
	}
	m.refs = appendBytes(m.refs[:0], tagRefs2, m.one)
	m.one = appendZeroless(m.one[:0], tagType2, uint64(kind))
	m.one = appendZeroless(m.one, tagHelp2, uint64(m.symbols.ref(help)))
	m.one = appendZeroless(m.one, tagUnit2, uint64(m.symbols.ref(unit)))
	m.meta = appendBytes(m.meta[:0], tagMetadata2, m.one)
}

// run adds a TimeSeries of points that are all floats or all histograms.
func (m *message2) run(start int64, points []point) {
	m.points, m.exemplars = m.points[:0], m.exemplars[:0]
	for i := range points {
		m.point(start, &points[i])
	}
	n := len(m.refs) + len(m.points) + len(m.exemplars) + len(m.meta)
	m.timeseries = binary.AppendUvarint(append(m.timeseries, tagSeries2), uint64(n))
	m.timeseries = append(m.timeseries, m.refs...)
	m.timeseries = append(m.timeseries, m.points...)
	m.timeseries = append(m.timeseries, m.exemplars...)
	m.timeseries = append(m.timeseries, m.meta...)
}

// point adds one sample with its exemplars to the TimeSeries at hand. A start
// that is not before the sample says that the clock was stepped: it is left out.
func (m *message2) point(start int64, p *point) {
	if start < 0 || start >= p.time {
		start = 0
	}
	if p.isHistogram() { // the fields of Histogram are those of 1.0 and a start
		m.one = appendHistogram(m.one[:0], p.ext.Histogram, p.time)
		m.one = appendZeroless(m.one, tagHistStart2, uint64(start))
		m.points = appendBytes(m.points, tagHistogram2, m.one)
	} else {
		m.points = append(m.points, tagSample, 0)
		at := len(m.points)
		m.points = appendFloat(m.points, p.bits, p.time)
		m.points = appendZeroless(m.points, tagSampleStart2, uint64(start))
		m.points[at-1] = byte(len(m.points) - at) // at most 31: a value and two times
	}
	if p.ext != nil {
		for _, e := range p.ext.Exemplars {
			m.exemplar(e, p.time)
		}
	}
}

// exemplar adds an exemplar, which the log has as that of 1.0: its labels become
// references. What of it is no label is left out; a time it must have.
func (m *message2) exemplar(payload []byte, time int64) {
	m.one = m.one[:0]
	refs, value, at := m.packed[:0], []byte(nil), []byte(nil)
	for len(payload) > 0 {
		f, rest, ok := nextField(payload)
		if !ok {
			break
		}
		switch f.number {
		case 1:
			name, text := label1(f.content)
			refs = binary.AppendUvarint(refs, uint64(m.symbols.ref(m.symbols.number(name))))
			refs = binary.AppendUvarint(refs, uint64(m.symbols.ref(m.symbols.number(text))))
		case 2:
			value = f.whole
		case 3:
			at = f.whole
		}
		payload = rest
	}
	m.packed = refs
	if len(refs) > 0 {
		m.one = appendBytes(m.one, tagRefs2, refs)
	}
	m.one = append(m.one, value...)
	if at == nil {
		m.one = appendZeroless(m.one, tagExemplarTime2, uint64(time))
	}
	m.one = append(m.one, at...)
	m.exemplars = appendBytes(m.exemplars, tagExemplar2, m.one)
}
