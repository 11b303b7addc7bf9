package wal

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

const (
	cursorMagic   = "npcursor"
	cursorVersion = 1
	cursorSuffix  = ".cursor"
	slotSize      = 512
	slotHeader    = 53
	flagClean     = 1
	maxRanges     = 16
	maxName       = 120 // bytes of the receiver's name that a slot keeps
	maxProtocol   = 64
)

// cursorName is the file name of a receiver's cursor.
func cursorName(receiver string) string {
	sum := sha256.Sum256([]byte(receiver))
	return hex.EncodeToString(sum[:8]) + cursorSuffix
}

// isCursorName reports whether a file may be a cursor.
func isCursorName(name string) bool {
	digits, ok := strings.CutSuffix(name, cursorSuffix)
	return ok && len(digits) == 16
}

// slot is what one half of a cursor file says.
type slot struct {
	generation uint64
	name       string // of the receiver, the first maxName bytes of it
	state      State
}

// encodeSlot returns the 512 bytes of s, whose state is normalized.
func encodeSlot(s slot) []byte {
	b := make([]byte, 0, slotSize)
	b = append(b, cursorMagic...)
	b = binary.LittleEndian.AppendUint16(b, cursorVersion)
	flags := uint16(0)
	if s.state.Clean {
		flags = flagClean
	}
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint64(b, s.generation)
	b = append(b, s.state.BootID[:]...)
	b = appendRange(b, s.state.InFlight)
	b = append(b, byte(len(s.state.Acked)))
	for _, r := range s.state.Acked {
		b = appendRange(b, r)
	}
	b = appendString(b, cutName(s.name))
	b = appendString(b, s.state.Protocol)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:slotSize]
}

func appendRange(b []byte, r Range) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, r.From), r.To)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func cutName(name string) string { return name[:min(len(name), maxName)] }

var errSlot = errors.New("damaged cursor slot")

// decodeSlot reads what encodeSlot wrote. It accepts nothing else.
func decodeSlot(b []byte) (s slot, err error) {
	if len(b) < slotHeader || string(b[:8]) != cursorMagic {
		return s, errSlot
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != cursorVersion {
		return s, fmt.Errorf("cursor format version %d, this program knows %d", v, cursorVersion)
	}
	flags := binary.LittleEndian.Uint16(b[10:])
	s.generation = binary.LittleEndian.Uint64(b[12:])
	copy(s.state.BootID[:], b[20:])
	s.state.InFlight = decodeRange(b[36:])
	n := int(b[52])
	rest := b[slotHeader:]
	if n > maxRanges || len(rest) < 16*n || flags&^flagClean != 0 {
		return slot{}, errSlot
	}
	for ; n > 0; n-- {
		s.state.Acked = append(s.state.Acked, decodeRange(rest))
		rest = rest[16:]
	}
	s.state.Clean = flags&flagClean != 0
	var ok1, ok2 bool
	s.name, rest, ok1 = cutString(rest, maxName)
	s.state.Protocol, rest, ok2 = cutString(rest, maxProtocol)
	used := b[:len(b)-len(rest)]
	if !ok1 || !ok2 || len(rest) < 4 || binary.LittleEndian.Uint32(rest) != crc32.Checksum(used, castagnoli) || !s.state.valid() {
		return slot{}, errSlot
	}
	return s, nil
}

func decodeRange(b []byte) Range {
	return Range{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func cutString(b []byte, limit uint64) (s string, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > limit || n > uint64(len(b)-w) {
		return "", b, false
	}
	return string(b[w : w+int(n)]), b[w+int(n):], true
}

// decodeCursor returns the newer of the two slots of a cursor file.
func decodeCursor(b []byte) (best slot, err error) {
	found := false
	for _, half := range [][]byte{b[:min(slotSize, len(b))], b[min(slotSize, len(b)):min(2*slotSize, len(b))]} {
		s, e := decodeSlot(half)
		if e == nil && (!found || s.generation > best.generation) {
			best, found = s, true
		}
		if e != nil && !isBlank(half) {
			err = e
		}
	}
	switch {
	case found:
		return best, nil
	case err == nil:
		err = errSlot
	}
	return slot{}, err
}

func isBlank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// valid reports whether the ranges are ascending, apart and within reason.
func (s State) valid() bool {
	end := uint64(0)
	for i, r := range s.Acked {
		if r.From >= r.To || r.To > maxSeq || i > 0 && r.From <= end {
			return false
		}
		end = r.To
	}
	return s.InFlight.From <= s.InFlight.To && s.InFlight.To <= maxSeq
}

// end is one past the highest number that s knows of.
func (s State) end() uint64 {
	end := s.InFlight.To
	for _, r := range s.Acked {
		end = max(end, r.To)
	}
	return end
}

// normalize sorts and joins ranges and drops the empty. Of more than a slot
// holds the shortest are forgotten: their frames are sent again, which is
// allowed, and nothing is taken for sent that was not.
func normalize(ranges []Range) []Range {
	sorted := slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool { return r.From >= r.To })
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	for len(out) > maxRanges {
		short := 0
		for i, r := range out {
			if r.To-r.From < out[short].To-out[short].From {
				short = i
			}
		}
		out = slices.Delete(out, short, short+1)
	}
	return out
}

// covers reports whether the normalized ranges hold every number from from to
// to (exclusive).
func covers(ranges []Range, from, to uint64) bool {
	if from >= to {
		return true
	}
	for _, r := range ranges {
		if r.From <= from && to <= r.To {
			return true
		}
	}
	return false
}
