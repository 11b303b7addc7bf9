package writer

import (
	"encoding/binary"

	"nodepush/metric"
)

// Field tags of prometheus.WriteRequest and its parts (types.proto).
const (
	tagSeries1    = 1<<3 | 2 // WriteRequest.timeseries
	tagLabel1     = 1<<3 | 2 // TimeSeries.labels
	tagExemplar1  = 3<<3 | 2 // TimeSeries.exemplars
	tagHistogram1 = 4<<3 | 2 // TimeSeries.histograms
	tagName1      = 1<<3 | 2 // Label.name
	tagText1      = 2<<3 | 2 // Label.value
	tagMetadata1  = 3<<3 | 2 // WriteRequest.metadata
	tagType1      = 1 << 3   // MetricMetadata.type
	tagFamily1    = 2<<3 | 2 // MetricMetadata.metric_family_name
	tagHelp1      = 4<<3 | 2 // MetricMetadata.help
	tagUnit1      = 5<<3 | 2 // MetricMetadata.unit
)

// message1 writes prometheus.WriteRequest, the message of remote write 1.0. An
// identity is the labels fields of a TimeSeries. The parts come in the order of
// their field numbers, as prompb writes them.
// https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
type message1 struct {
	raw                            []byte
	samples, exemplars, histograms []byte // fields of the series at hand
	one                            []byte // message at hand
}

func (m *message1) identify(dst []byte, _ *metric.Desc, labels labelRange) []byte {
	labels(func(name, value string) { dst = appendLabel1(dst, name, value) })
	return dst
}

func (m *message1) full() bool { return false }

func (m *message1) begin() { m.raw = m.raw[:0] }

func (m *message1) bytes() []byte { return m.raw }

// series adds a TimeSeries. 1.0 has no start timestamps.
func (m *message1) series(identity []byte, _ int64, points []point) {
	m.samples, m.exemplars, m.histograms = m.samples[:0], m.exemplars[:0], m.histograms[:0]
	for i := range points {
		m.point(&points[i])
	}
	n := len(identity) + len(m.samples) + len(m.exemplars) + len(m.histograms)
	m.raw = binary.AppendUvarint(append(m.raw, tagSeries1), uint64(n))
	m.raw = append(m.raw, identity...)
	m.raw = append(m.raw, m.samples...)
	m.raw = append(m.raw, m.exemplars...)
	m.raw = append(m.raw, m.histograms...)
}

// point adds one sample with its exemplars to the series at hand.
func (m *message1) point(p *point) {
	if p.ext != nil && p.ext.Histogram != nil {
		m.one = appendHistogram(m.one[:0], p.ext.Histogram, p.time)
		m.histograms = appendBytes(m.histograms, tagHistogram1, m.one)
	} else {
		m.samples = append(m.samples, tagSample, 0)
		at := len(m.samples)
		m.samples = appendFloat(m.samples, p.bits, p.time)
		m.samples[at-1] = byte(len(m.samples) - at) // at most 31: a value and two times
	}
	if p.ext != nil {
		for _, e := range p.ext.Exemplars {
			m.exemplars = appendBytes(m.exemplars, tagExemplar1, e)
		}
	}
}

// metadata adds a MetricMetadata.
func (m *message1) metadata(d *metric.Desc) {
	m.one = appendZeroless(m.one[:0], tagType1, uint64(d.Type))
	m.one = appendBytes(m.one, tagFamily1, d.FamilyName())
	if d.Help != "" {
		m.one = appendBytes(m.one, tagHelp1, d.Help)
	}
	if d.Unit != "" {
		m.one = appendBytes(m.one, tagUnit1, d.Unit)
	}
	m.raw = appendBytes(m.raw, tagMetadata1, m.one)
}

// appendLabel1 appends field TimeSeries.labels.
func appendLabel1(dst []byte, name, value string) []byte {
	n := 2 + uvarintLen(uint64(len(name))) + len(name) + uvarintLen(uint64(len(value))) + len(value)
	dst = binary.AppendUvarint(append(dst, tagLabel1), uint64(n))
	dst = appendBytes(dst, tagName1, name)
	return appendBytes(dst, tagText1, value)
}

// eachLabel1 yields the labels of an identity.
func eachLabel1(identity []byte) labelRange {
	return func(yield func(name, value string)) {
		for len(identity) > 0 {
			f, rest, _ := nextField(identity)
			yield(label1(f.content))
			identity = rest
		}
	}
}
