package writer

import "encoding/binary"

// symbols is the table of strings of a 2.0 request. A text has a number for as
// long as the table is not reset, and in each request that needs it a
// reference, given in the order of first use. Reference 0 is the empty text.
// (Specification 2.0, "Symbols".)
type symbols struct {
	numbers map[string]uint32
	texts   []string // by number
	bytes   int      // of the texts
	refs    []uint32 // by number; 0: not in the request
	used    []uint32 // numbers in the request
	raw     []byte   // fields Request.symbols of the request

	base, baseBytes int // texts and their bytes after the first request since the reset; 0: not known yet
}

// number returns the number of a text.
func (s *symbols) number(text string) uint32 {
	n, ok := s.numbers[text]
	if !ok {
		n = uint32(len(s.texts))
		s.bytes += len(text)
		s.numbers[text] = n
		s.texts, s.refs = append(s.texts, text), append(s.refs, 0)
	}
	return n
}

// reset forgets all numbers.
func (s *symbols) reset() {
	*s = symbols{numbers: make(map[string]uint32), raw: s.raw[:0], used: s.used[:0]}
	s.number("")
}

// begin starts the table of a request.
func (s *symbols) begin() {
	for _, n := range s.used {
		s.refs[n] = 0
	}
	s.used, s.raw = s.used[:0], append(s.raw[:0], tagSymbol2, 0)
}

// ref returns the reference of a text in the request.
func (s *symbols) ref(number uint32) uint32 {
	if number == 0 {
		return 0
	}
	if ref := s.refs[number]; ref != 0 {
		return ref
	}
	s.used = append(s.used, number)
	s.refs[number] = uint32(len(s.used))
	s.raw = appendBytes(s.raw, tagSymbol2, s.texts[number])
	return s.refs[number]
}

// full reports whether most of what the table holds is needed no more. The
// first request after a reset shows what is: it has the texts of all series
// of its sources, sent or not.
func (s *symbols) full() bool {
	if s.base == 0 {
		if len(s.used) > 0 {
			s.base, s.baseBytes = len(s.texts), s.bytes
		}
		return false
	}
	return len(s.texts) > maxSymbols+2*s.base || s.bytes > maxSymbolBytes+2*s.baseBytes
}

// How many texts nobody needs may gather, and how many bytes of them: names of
// containers, say, that are long gone.
const (
	maxSymbols     = 1 << 16
	maxSymbolBytes = 4 << 20
)

// appendNumber appends a number to an identity.
func appendNumber(dst []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(dst, n) }

// nextNumber takes a number off an identity.
func nextNumber(identity []byte) (n uint32, rest []byte) {
	return binary.LittleEndian.Uint32(identity), identity[4:]
}
