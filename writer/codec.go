package writer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/golang/snappy"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// The codec turns collections into frames and back.
//
//	metric.Collection ─▶ encoder ─┬─▶ head   dictionary: who the ids are          ─┐
//	                              ├─▶ key    every value, and how to code the next ─┼─▶ decoder ─▶ decoded
//	                              └─▶ data   what the key does not predict         ─┘
//
// A data frame needs the heads of its segment and one key, and nothing else:
// never another data frame. docs/wal.md has the bytes.

// appender is what the encoder needs of a log.
type appender interface {
	Append(kind wal.Kind, payload []byte) (seq uint64, err error)
	Roll(heads [][]byte) error
	Size() int64
}

// errDamaged is in every error of the decoder: a frame, or what it depends
// on, was lost or is not what an encoder wrote. Nothing of it may be used.
var errDamaged = errors.New("damaged")

// damaged says what is lost.
func damaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errDamaged)...)
}

const (
	codecVersion = 1
	maxPayload   = 16 << 20 // of a frame
	maxBody      = 64 << 20 // of a payload, uncompressed
	maxIDs       = 1 << 20  // of one source in one segment
)

// Flags of a key or data payload, in the low bits of its first field.
const (
	flagSnappy   = 1 << iota // the body is a snappy block
	flagPresence             // the body lists ids whose presence is not the expected one
	flagExt                  // the body ends with what plain floats cannot carry
	flagStep                 // a key whose body is that of a data frame, against a whole key
	flagBits     = iota
)

// frameHeader starts every key and data payload.
type frameHeader struct {
	source int // number of the source in its segment
	flags  uint
	count  int    // samples
	key    uint64 // number of the key in the source's segment: its own, or the one a data frame refers to
}

func (h frameHeader) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(h.source)<<flagBits|uint64(h.flags))
	dst = binary.AppendUvarint(dst, uint64(h.count))
	return binary.AppendUvarint(dst, h.key)
}

// parseFrameHeader returns the header of a key or data payload and its body as stored.
func parseFrameHeader(payload []byte) (frameHeader, []byte, error) {
	r := byteReader{src: payload}
	first := r.uvarint()
	h := frameHeader{
		source: int(first >> flagBits & (maxIDs - 1)),
		flags:  uint(first & (1<<flagBits - 1)),
		count:  r.length(maxIDs),
		key:    r.uvarint(),
	}
	if r.bad || first>>flagBits >= maxIDs {
		return h, nil, damaged("frame header")
	}
	return h, r.src, nil
}

// countSamples returns the number of samples of a key or data frame, and 0
// for a head and for a payload that is none. It needs no dictionary.
func countSamples(f wal.Frame) int {
	if f.Kind != wal.Key && f.Kind != wal.Data {
		return 0
	}
	h, _, err := parseFrameHeader(f.Payload)
	if err != nil {
		return 0
	}
	return h.count
}

// packer compresses bodies into its own buffer.
type packer struct{ buf []byte }

// pack returns body as a snappy block when that is smaller. The result is
// valid until the next call.
func (p *packer) pack(body []byte) ([]byte, bool) {
	if n := snappy.MaxEncodedLen(len(body)); n > len(p.buf) {
		p.buf = make([]byte, n)
	}
	block := snappy.Encode(p.buf, body)
	if len(block) < len(body) {
		return block, true
	}
	return body, false
}

// unpack returns the body of a snappy block. The result is valid until the next call.
func (p *packer) unpack(block []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil || n > maxBody || n > 64*len(block)+64 { // no snappy block shrinks further
		return nil, damaged("snappy block")
	}
	if n > len(p.buf) {
		p.buf = make([]byte, n)
	}
	body, err := snappy.Decode(p.buf, block)
	if err != nil {
		return nil, damaged("snappy block")
	}
	return body, nil
}

// byteReader takes fields from the front of src. After a field that is not
// there it is bad, and everything it returns is empty.
type byteReader struct {
	src []byte
	bad bool
}

func (r *byteReader) fail() { r.bad, r.src = true, nil }

func (r *byteReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *byteReader) varint() int64 { return unzigzag(r.uvarint()) }

// length reads a number that is below limit.
func (r *byteReader) length(limit int) int {
	v := r.uvarint()
	if v >= uint64(limit) {
		r.fail()
		return 0
	}
	return int(v)
}

// items reads a number of things of which each takes at least size bytes.
func (r *byteReader) items(size int) int { return r.length(len(r.src)/size + 1) }

func (r *byteReader) bytes(n int) []byte {
	if n > len(r.src) {
		r.fail()
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *byteReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// round is one collection by ids, as the encoder lays it out for a frame.
type round struct {
	time, mono int64 // ms
	present    bitmap
	count      int
	values     []float64 // by id
	ext        []extSample
}

// extSample is a sample that is more than a float.
type extSample struct {
	id  int
	ext *metric.Ext
}
