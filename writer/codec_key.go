package writer

import (
	"encoding/binary"
	"math"
)

// keyframe is the content of a key frame: every value of one collection, and
// for each series how the data frames after it code their values. Encoder and
// decoder build the same one, the first from what it has seen, the second
// from the frame.
type keyframe struct {
	number     uint64
	time, mono int64 // ms
	present    bitmap
	values     []float64 // by id
	forms      []form    // by id
	hot        []int32   // ids that are hot or warm, ascending
	cold       []int32   // the others, ascending
}

// form is how data frames code one series.
type form struct {
	base  int64 // the key's value in its class
	slope int64 // expected change per millisecond, 16 bits of it a fraction
	class class
	order uint8 // of the difference's code
	heat  heat
}

// heat says how data frames hold a series, by how often it has another value
// than the key. The numbers are written to disk.
type heat uint8

const (
	cold heat = iota // named where it differs
	warm             // a bit says whether it differs
	hot              // always a difference from what is expected
)

const slopeBits = 16

// expected returns the value that a series of that form should have so many
// milliseconds after the key. Overflow wraps, for both sides alike.
func (f *form) expected(elapsed int64) int64 { return f.base + f.slope*elapsed>>slopeBits }

// A form's first byte: the class, and above it the heat and whether there is a slope.
const (
	heatShift  = 4
	heatMask   = 3 << heatShift
	formSloped = 1 << 6
)

// list fills hot and cold from the forms.
func (k *keyframe) list() {
	k.hot, k.cold = k.hot[:0], k.cold[:0]
	for id := range k.present.each {
		if k.forms[id].heat != cold {
			k.hot = append(k.hot, int32(id))
		} else {
			k.cold = append(k.cold, int32(id))
		}
	}
}

// step makes k the key that a round against the whole key base has become:
// its values in the forms of base, and in plain ones where base has none.
func (k *keyframe) step(base *keyframe, r *round, number uint64) {
	k.resize(len(r.values))
	k.number, k.time, k.mono = number, r.time, r.mono
	copy(k.present, r.present)
	for id := range k.present.each {
		var f form
		v := r.values[id]
		if base.present.has(id) {
			f = base.forms[id].at(v, base.values[id])
		} else {
			f = form{class: classOf(v), order: coldOrder}.at(v, 0)
		}
		k.values[id], k.forms[id] = v, f
	}
	k.list()
}

// at returns f with v in place of the value old, which it has now.
func (f form) at(v, old float64) form {
	if math.Float64bits(v) == math.Float64bits(old) {
		return f
	}
	var ok bool
	if f.base, ok = f.class.scale(v); !ok {
		f.class, f.slope = exact, 0
	}
	return f
}

// copyOf makes k the same as from, in its own memory.
func (k *keyframe) copyOf(from *keyframe) {
	k.number, k.time, k.mono = from.number, from.time, from.mono
	k.present = k.present.copyOf(from.present)
	k.values = append(k.values[:0], from.values...)
	k.forms = append(k.forms[:0], from.forms...)
	k.hot = append(k.hot[:0], from.hot...)
	k.cold = append(k.cold[:0], from.cold...)
}

// resize makes room for ids below n.
func (k *keyframe) resize(n int) {
	k.present = k.present[:0].grown(n)
	k.values = resized(k.values, n)
	k.forms = resized(k.forms, n)
}

// resized returns s with n elements; those it gains have any value.
func resized[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

// appendKey appends the body of a key frame without its ext section.
func (k *keyframe) append(dst []byte, absent []int32) []byte {
	dst = binary.AppendVarint(dst, k.time)
	dst = binary.AppendVarint(dst, k.mono)
	if len(absent) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(absent)))
		next := int32(0)
		for _, id := range absent {
			dst = binary.AppendUvarint(dst, uint64(id-next))
			next = id + 1
		}
	}
	for id := range k.present.each {
		dst = append(dst, k.forms[id].head())
	}
	for id := range k.present.each {
		dst = append(dst, k.forms[id].order)
	}
	for id := range k.present.each {
		if f := &k.forms[id]; f.slope != 0 {
			dst = binary.AppendVarint(dst, f.slope)
		}
	}
	for id := range k.present.each {
		if f := &k.forms[id]; f.class == exact {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(k.values[id]))
		} else {
			dst = binary.AppendVarint(dst, f.base)
		}
	}
	return dst
}

func (f *form) head() byte {
	b := byte(f.class) | byte(f.heat)<<heatShift
	if f.slope != 0 {
		b |= formSloped
	}
	return b
}

// parse fills k from the body of a key frame with count samples, of which
// it returns the ext section.
func (k *keyframe) parse(body []byte, h frameHeader) ([]byte, error) {
	r := byteReader{src: body}
	k.number, k.time, k.mono = h.key, r.varint(), r.varint()
	var absent int
	if h.flags&flagPresence != 0 {
		absent = r.items(1)
	}
	// Each sample takes at least three bytes: form, order, value.
	if r.bad || h.count > len(r.src)/3 || h.count+absent > maxIDs {
		return nil, damaged("key frame")
	}
	k.resize(h.count + absent)
	k.present.setFirst(h.count + absent)
	for next := 0; absent > 0; absent-- {
		next += r.length(len(k.values) - next + 1)
		if r.bad || next >= len(k.values) {
			return nil, damaged("presence of a key frame")
		}
		k.present.flip(next)
		next++
	}
	k.parseForms(&r, h.count)
	k.parseValues(&r)
	if r.bad {
		return nil, damaged("values of a key frame")
	}
	k.list()
	return r.src, nil
}

// parseForms reads the columns of first bytes, orders and slopes.
func (k *keyframe) parseForms(r *byteReader, count int) {
	heads, orders := r.bytes(count), r.bytes(count)
	if r.bad {
		return
	}
	i := 0
	for id := range k.present.each {
		f := form{class: class(heads[i] & 15), heat: heat(heads[i] & heatMask >> heatShift), order: orders[i]}
		if heads[i]&formSloped != 0 {
			f.slope = r.varint()
		}
		r.bad = r.bad || f.order > maxOrder || f.heat > hot || heads[i] >= formSloped<<1
		k.forms[id] = f
		i++
	}
}

// parseValues reads the column of values.
func (k *keyframe) parseValues(r *byteReader) {
	for id := range k.present.each {
		if r.bad {
			return
		}
		f := &k.forms[id]
		if f.class != exact {
			f.base = r.varint()
			k.values[id] = f.class.value(f.base)
			continue
		}
		if b := r.bytes(8); b != nil {
			k.values[id] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	}
}
