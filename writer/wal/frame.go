package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	magic       = "nodepush"
	version     = 1
	headerSize  = 32 // of a segment
	frameHeader = 17
	maxPayload  = 16 << 20
	suffix      = ".wal"

	// maxSeq bounds the numbers that names and cursors on disk may hold, so
	// that no rubbish can bring the count to its end.
	maxSeq = 1 << 62
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends the bytes of one frame to dst.
func appendFrame(dst []byte, kind Kind, seq uint64, payload []byte) []byte {
	n := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, 0, 0, 0, 0, byte(kind))
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = append(dst, payload...)
	binary.LittleEndian.PutUint32(dst[n+4:], frameSum(dst[n:]))
	return dst
}

// frameSum is the checksum of a frame: of all its bytes but the checksum's own.
func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, frame[8:])
}

// plausible reports whether head can begin a frame with a number from lo to hi
// that ends within left bytes, and how many bytes that frame has. The
// checksum has the last word.
func plausible(head []byte, left int64, lo, hi uint64) (size int, ok bool) {
	if len(head) < frameHeader {
		return 0, false
	}
	if kind := Kind(head[8]); kind < Head || kind > Data {
		return 0, false
	}
	if seq := binary.LittleEndian.Uint64(head[9:]); seq < lo || seq > hi {
		return 0, false
	}
	length := binary.LittleEndian.Uint32(head)
	if length > maxPayload || int64(length)+frameHeader > left {
		return 0, false
	}
	return frameHeader + int(length), true
}

// intact reports whether the checksum of a whole frame holds.
func intact(frame []byte) bool { return binary.LittleEndian.Uint32(frame[4:]) == frameSum(frame) }

// appendHeader appends the header of a segment whose first frame is first.
func appendHeader(dst []byte, first uint64, createdMS int64) []byte {
	n := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, version)
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, first)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(createdMS))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[n:], castagnoli))
}

// headerState is what the header of a file named like a segment says.
type headerState int

const (
	headerIntact  headerState = iota
	headerDamaged             // its frames can still vouch for themselves
	headerNewer               // intact, and of a version or with flags that this program does not know
)

// readHeader judges the header of the segment that is named first.
func readHeader(b []byte, first uint64) (headerState, error) {
	switch {
	case len(b) < headerSize:
		return headerDamaged, fmt.Errorf("header of %d bytes, want %d", len(b), headerSize)
	case string(b[:8]) != magic:
		return headerDamaged, fmt.Errorf("magic %q, want %q", b[:8], magic)
	case binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli):
		return headerDamaged, fmt.Errorf("wrong header checksum")
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != version {
		return headerNewer, fmt.Errorf("format version %d, this program knows %d", v, version)
	}
	if f := binary.LittleEndian.Uint16(b[10:]); f != 0 {
		return headerNewer, fmt.Errorf("unknown format flags %#x", f)
	}
	if n := binary.LittleEndian.Uint64(b[12:]); n != first {
		return headerDamaged, fmt.Errorf("header names segment %d", n)
	}
	return headerIntact, nil
}

// segmentName is the file name of the segment whose first frame is first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

// parseName is the inverse of segmentName.
func parseName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0 && first < maxSeq
}
