package receiver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// maxMemory bounds what a decoded message takes in memory. Two bytes of a body
// can be a histogram of 300, so that a body within maxBody could take
// gigabytes; one of short series with a sample each takes seven times its
// size. Growing slices may need twice the bound for a moment.
const maxMemory = 8 * maxBody

// Wire types of protobuf: https://protobuf.dev/programming-guides/encoding/
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// shape says what a part of a message takes in memory when it is decoded.
type shape struct {
	size   uintptr          // of its Go value; with packed, of the number that one byte can be
	packed bool             // numbers of variable length rather than a message or a string
	parts  map[uint64]shape // by field number, what takes more than its bytes
}

// The shapes of WriteRequest and Request. Their numbers are those of
// types.proto and write/v2/types.proto.
var (
	numbers32 = shape{size: unsafe.Sizeof(uint32(0)), packed: true}
	numbers64 = shape{size: unsafe.Sizeof(int64(0)), packed: true}

	label1Shape     = shape{size: unsafe.Sizeof(prompb.Label{})}
	span1Shape      = shape{size: unsafe.Sizeof(prompb.BucketSpan{})}
	histogram1Shape = shape{size: unsafe.Sizeof(prompb.Histogram{}), parts: map[uint64]shape{8: span1Shape, 9: numbers64, 11: span1Shape, 12: numbers64}}
	series1Shape    = shape{size: unsafe.Sizeof(prompb.TimeSeries{}), parts: map[uint64]shape{
		1: label1Shape,
		2: {size: unsafe.Sizeof(prompb.Sample{})},
		3: {size: unsafe.Sizeof(prompb.Exemplar{}), parts: map[uint64]shape{1: label1Shape}},
		4: histogram1Shape,
	}}
	request1Shape = shape{parts: map[uint64]shape{1: series1Shape, 3: {size: unsafe.Sizeof(prompb.MetricMetadata{})}}}

	span2Shape      = shape{size: unsafe.Sizeof(writev2.BucketSpan{})}
	histogram2Shape = shape{ // decoded, and once more as it is stored
		size:  unsafe.Sizeof(writev2.Histogram{}) + unsafe.Sizeof(prompb.Histogram{}),
		parts: map[uint64]shape{8: twice(span2Shape), 9: twice(numbers64), 11: twice(span2Shape), 12: twice(numbers64)},
	}
	series2Shape = shape{size: unsafe.Sizeof(writev2.TimeSeries{}), parts: map[uint64]shape{
		1: numbers32,
		2: {size: unsafe.Sizeof(writev2.Sample{})},
		3: histogram2Shape,
		4: {size: unsafe.Sizeof(writev2.Exemplar{}), parts: map[uint64]shape{1: numbers32}},
	}}
	symbolShape   = shape{size: 4 * unsafe.Sizeof("")} // the string, and its place in the map that finds repetitions
	request2Shape = shape{parts: map[uint64]shape{4: symbolShape, 5: series2Shape}}
)

// twice is a shape of which two copies exist for a moment.
func twice(s shape) shape {
	s.size *= 2
	return s
}

// memory adds up what a message of this shape takes when it is decoded. It
// gives up at maxMemory.
func (s shape) memory(message []byte) (uint64, error) {
	total := uint64(s.size)
	err := eachField(message, func(field uint64, wire int, payload []byte) error {
		size := uint64(len(payload)) // of a number that is part of s.size, a string, or a field that is kept as it is
		part, known := s.parts[field]
		switch {
		case !known:
		case part.packed:
			size *= uint64(part.size)
		case wire != wireBytes:
			return fmt.Errorf("field %d has wire type %d where a message is expected", field, wire)
		case part.parts == nil:
			size += uint64(part.size)
		default:
			var err error
			if size, err = part.memory(payload); err != nil {
				return err
			}
		}
		if total += size; total > maxMemory {
			return fmt.Errorf("it takes more than %d bytes of memory when decoded", maxMemory)
		}
		return nil
	})
	return total, err
}

var errTruncated = errors.New("truncated field")

// eachField calls f for each field of a message.
func eachField(m []byte, f func(field uint64, wire int, payload []byte) error) error {
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return errTruncated
		}
		if tag < 1<<3 || tag > math.MaxUint32 { // the decoder would cut it to 32 bits
			return fmt.Errorf("field number %d; 1 to %d are allowed", tag>>3, math.MaxUint32>>3)
		}
		m = m[n:]
		head, size, err := extent(int(tag&7), m)
		if err != nil {
			return err
		}
		if size > uint64(len(m)-head) {
			return errTruncated
		}
		if err := f(tag>>3, int(tag&7), m[head:head+int(size)]); err != nil {
			return err
		}
		m = m[head+int(size):]
	}
	return nil
}

// extent says where the payload of a field begins and how long it is.
func extent(wire int, m []byte) (head int, size uint64, err error) {
	switch wire {
	case wireVarint:
		_, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, 0, errTruncated
		}
		return 0, uint64(n), nil
	case wireFixed64:
		return 0, 8, nil
	case wireFixed32:
		return 0, 4, nil
	case wireBytes:
		size, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, 0, errTruncated
		}
		return n, size, nil
	}
	return 0, 0, fmt.Errorf("wire type %d, which these messages do not have", wire)
}
