package writer

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A data frame is a stream of bits, filled from the least significant bit of
// each byte. It knows two codes.
//
//	number of order k   z zeros, a one, z+k bits   u = bits + 2^(z+k) - 2^k, z at most 20
//	                    21 zeros, a one            an escape: the value follows as its bits
//	bits of a value     0                          those of the key
//	                    1, t (3 bits), n-1 (3 bits), n bytes   key XOR (bytes shifted left by t bytes)
//
// The first is the exponential Golomb code: a number of the size that its
// order expects costs order + 1 bits, one of another size two bits for each
// doubling. https://en.wikipedia.org/wiki/Exponential-Golomb_coding
const (
	maxZeros = 20
	maxOrder = 40
)

// bitWriter appends bits to dst.
type bitWriter struct {
	dst []byte
	acc uint64 // bits not in dst yet
	n   uint   // their number, below 8 between calls
}

// put appends the n low bits of v, at most 56; the others are 0.
func (w *bitWriter) put(v uint64, n uint) {
	w.acc |= v << w.n
	w.n += n
	for w.n >= 8 {
		w.dst = append(w.dst, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// number appends u in order k and reports whether it has a code.
func (w *bitWriter) number(u uint64, k uint8) bool {
	x := u + 1<<k
	length := uint(bits.Len64(x)) - 1
	zeros := length - uint(k)
	if u >= 1<<60 || zeros > maxZeros {
		return false
	}
	w.put(1<<zeros, zeros+1)
	x &^= 1 << length
	if length > 32 {
		w.put(x&math.MaxUint32, 32)
		x >>= 32
		length -= 32
	}
	w.put(x, length)
	return true
}

// escape appends the code of no number.
func (w *bitWriter) escape() { w.put(1<<(maxZeros+1), maxZeros+2) }

// float appends the bits of v against those of base.
func (w *bitWriter) float(v, base float64) {
	x := math.Float64bits(v) ^ math.Float64bits(base)
	if x == 0 {
		w.put(0, 1)
		return
	}
	low := uint(bits.TrailingZeros64(x)) / 8
	x >>= low * 8
	n := (uint(bits.Len64(x)) + 7) / 8
	w.put(1|uint64(low)<<1|uint64(n-1)<<4, 7)
	for ; n > 0; n-- {
		w.put(x&0xff, 8)
		x >>= 8
	}
}

// flush appends zeros up to a whole byte and returns dst.
func (w *bitWriter) flush() []byte {
	if w.n > 0 {
		w.dst = append(w.dst, byte(w.acc))
		w.acc, w.n = 0, 0
	}
	return w.dst
}

// bitReader reads what bitWriter wrote. Past the end it reads zeros; valid
// tells whether that happened.
type bitReader struct {
	src []byte
	pos int // in bits
	bad bool
}

// peek returns at least the next 57 bits.
func (r *bitReader) peek() uint64 {
	i := r.pos >> 3
	if i+8 <= len(r.src) {
		return binary.LittleEndian.Uint64(r.src[i:]) >> (r.pos & 7)
	}
	var tail [8]byte
	if i < len(r.src) {
		copy(tail[:], r.src[i:])
	}
	return binary.LittleEndian.Uint64(tail[:]) >> (r.pos & 7)
}

// take returns the next n bits, at most 57.
func (r *bitReader) take(n uint) uint64 {
	v := r.peek() & (1<<n - 1)
	r.pos += int(n)
	return v
}

// number returns the next number of order k, false for an escape and where
// there is no code.
func (r *bitReader) number(k uint8) (uint64, bool) {
	word := r.peek()
	zeros := uint(bits.TrailingZeros64(word))
	if zeros > maxZeros {
		r.pos += int(zeros) + 1
		r.bad = r.bad || zeros > maxZeros+1
		return 0, false
	}
	length := zeros + uint(k)
	used := zeros + 1 + length
	if used <= 57 {
		r.pos += int(used)
		return word>>(zeros+1)&(1<<length-1) + 1<<length - 1<<k, true
	}
	r.pos += int(zeros) + 1
	x := r.take(min(length, 32))
	if length > 32 {
		x |= r.take(length-32) << 32
	}
	return x + 1<<length - 1<<k, true
}

// mustNumber is number where an escape means damage.
func (r *bitReader) mustNumber(k uint8) uint64 {
	u, ok := r.number(k)
	r.bad = r.bad || !ok
	return u
}

// float returns the value whose bits were written against base.
func (r *bitReader) float(base float64) float64 {
	head := r.take(1)
	if head == 0 {
		return base
	}
	head = r.take(6)
	low, n := uint(head&7), uint(head>>3)+1
	if low+n > 8 {
		r.bad = true
		return base
	}
	x := r.take(min(n, 4) * 8)
	if n > 4 {
		x |= r.take((n-4)*8) << 32
	}
	return math.Float64frombits(math.Float64bits(base) ^ x<<(low*8))
}

// rest returns the bytes after the one that holds the last bit read.
func (r *bitReader) rest() ([]byte, bool) {
	end := (r.pos + 7) / 8
	if r.bad || end > len(r.src) {
		return nil, false
	}
	return r.src[end:], true
}
