package writer

import (
	"encoding/binary"
	"math/bits"

	"nodepush/metric"
)

// message writes the protobuf message of a protocol, series by series, in the
// same memory again and again. It is used by one goroutine.
type message interface {
	// identify appends what the message needs to know of a series, for series
	// to be given again. It is not empty.
	identify(dst []byte, d *metric.Desc, labels labelRange) []byte
	// full reports that all identities should be forgotten and made anew.
	full() bool
	// begin starts a message.
	begin()
	// series adds points of one series, in the order of time. start is when
	// its counter began, in ms; 0: unknown, or it is none.
	series(identity []byte, start int64, points []point)
	// bytes returns the message, valid until the next begin.
	bytes() []byte
}

// labelRange yields the labels of a series, sorted by name, none empty.
type labelRange func(yield func(name, value string))

// protocol is how a request announces what its body is.
type protocol struct {
	name        string // for people
	contentType string
	version     string // X-Prometheus-Remote-Write-Version
}

// The protocols, with the exact texts: Thanos compares them byte by byte.
// https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/#protocol
var (
	protocol1 = &protocol{name: "1.0", contentType: "application/x-protobuf", version: "0.1.0"}
	protocol2 = &protocol{name: "2.0", contentType: "application/x-protobuf;proto=io.prometheus.write.v2.Request", version: "2.0.0"}
)

// message returns the encoder of the protocol's message.
func (p *protocol) message(help bool) message {
	if p == protocol2 {
		return newMessage2(help)
	}
	return new(message1)
}

// Field tags that prometheus.TimeSeries and io.prometheus.write.v2.TimeSeries
// and their samples have in common, and the numbers of those they may carry.
const (
	tagSample     = 2<<3 | 2 // TimeSeries.samples
	tagValue      = 1<<3 | 1 // Sample.value
	tagSampleTime = 2 << 3   // Sample.timestamp
	histogramTime = 15       // Histogram.timestamp
	tagHistTime   = histogramTime << 3
)

// appendZeroless appends a varint field unless it is zero, as proto3 does.
func appendZeroless(dst []byte, tag uint64, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, tag), v)
}

// appendBytes appends a field of wire type 2.
func appendBytes[T string | []byte](dst []byte, tag byte, b T) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(b)))
	return append(dst, b...)
}

// appendFloat appends the fields value and timestamp of a Sample. Zeros are
// left out, as proto3 does; prompb counts -0 among them.
func appendFloat(dst []byte, bits64 uint64, time int64) []byte {
	if bits64&^(1<<63) != 0 {
		dst = binary.LittleEndian.AppendUint64(append(dst, tagValue), bits64)
	}
	return appendZeroless(dst, tagSampleTime, uint64(time))
}

// appendHistogram appends a Histogram with the time put in at its place.
func appendHistogram(dst, payload []byte, time int64) []byte {
	at, _ := fieldAfter(payload, histogramTime)
	dst = appendZeroless(append(dst, payload[:at]...), tagHistTime, uint64(time))
	return append(dst, payload[at:]...)
}

// uvarintLen returns how many bytes v takes.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
