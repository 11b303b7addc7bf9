package writer

import (
	"math/bits"
	"slices"
)

// grown returns b with room for ids below n; new ids are absent.
func (b bitmap) grown(n int) bitmap {
	words := (n + 63) / 64
	if words <= len(b) {
		return b
	}
	old := len(b)
	b = slices.Grow(b, words-old)[:words]
	clear(b[old:])
	return b
}

// set adds id, which grown has made room for.
func (b bitmap) set(id int) { b[id>>6] |= 1 << (id & 63) }

// flip adds id when it is absent and removes it when it is present.
func (b bitmap) flip(id int) { b[id>>6] ^= 1 << (id & 63) }

// setFirst adds every id below n.
func (b bitmap) setFirst(n int) {
	for w := range n / 64 {
		b[w] = ^uint64(0)
	}
	if n%64 != 0 {
		b[n/64] |= 1<<(n%64) - 1
	}
}

// count returns the number of ids in the set.
func (b bitmap) count() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// each yields the ids in ascending order.
func (b bitmap) each(yield func(id int) bool) {
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			if !yield(w<<6 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// copyOf overwrites b with the content of from and returns it.
func (b bitmap) copyOf(from bitmap) bitmap { return append(b[:0], from...) }

// word returns the ids 64·w to 64·w+63, also where the set has no room for them.
func (b bitmap) word(w int) uint64 {
	if w < len(b) {
		return b[w]
	}
	return 0
}

// appendDifference appends the ids that are in exactly one of a and b.
func appendDifference(dst []int32, a, b bitmap) []int32 {
	for w := range max(len(a), len(b)) {
		for word := a.word(w) ^ b.word(w); word != 0; word &= word - 1 {
			dst = append(dst, int32(w<<6+bits.TrailingZeros64(word)))
		}
	}
	return dst
}

// lacks reports whether an id that is in b is not in other.
func (b bitmap) lacks(other bitmap) bool {
	for w, word := range b {
		if word&^other.word(w) != 0 {
			return true
		}
	}
	return false
}

// appendMissing appends the ids that are in a and not in b.
func appendMissing(dst []int, a, b bitmap) []int {
	for w, word := range a {
		for word &^= b.word(w); word != 0; word &= word - 1 {
			dst = append(dst, w<<6+bits.TrailingZeros64(word))
		}
	}
	return dst
}
