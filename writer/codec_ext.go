package writer

import (
	"encoding/binary"

	"nodepush/metric"
)

// Bits of an ext entry's first byte.
const (
	extHistogram = 1 << iota // a histogram follows, in place of the float
	extFloat                 // it is a float histogram
)

// appendExt appends the ext section: for each sample that is more than a
// float its id, flags, histogram and exemplars. list is in ascending order of ids.
func appendExt(dst []byte, list []extSample) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	next := 0
	for _, e := range list {
		dst = binary.AppendUvarint(dst, uint64(e.id-next))
		next = e.id + 1
		flags := byte(0)
		if e.ext.Histogram != nil {
			flags |= extHistogram
		}
		if e.ext.Float {
			flags |= extFloat
		}
		dst = append(dst, flags)
		if e.ext.Histogram != nil {
			dst = appendBlob(dst, e.ext.Histogram)
		}
		dst = binary.AppendUvarint(dst, uint64(len(e.ext.Exemplars)))
		for _, exemplar := range e.ext.Exemplars {
			dst = appendBlob(dst, exemplar)
		}
	}
	return dst
}

func appendBlob(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// parseExt reads an ext section into a list whose payloads are its own memory.
func parseExt(section []byte) ([]extSample, error) {
	r := byteReader{src: append([]byte(nil), section...)}
	n := r.items(3)
	list := make([]extSample, 0, n)
	for id := 0; n > 0; n-- {
		id += r.length(maxIDs)
		e := parseExtEntry(&r)
		if r.bad || id >= maxIDs {
			return nil, damaged("histograms and exemplars of a frame")
		}
		list = append(list, extSample{id, e})
		id++
	}
	if r.bad || len(r.src) > 0 {
		return nil, damaged("histograms and exemplars of a frame")
	}
	return list, nil
}

func parseExtEntry(r *byteReader) *metric.Ext {
	flags := r.byte()
	e := &metric.Ext{Float: flags&extFloat != 0}
	if flags > extHistogram|extFloat {
		r.fail()
	}
	if flags&extHistogram != 0 {
		e.Histogram = clip(r.bytes(r.items(1)))
	}
	n := r.items(1)
	if n > 0 {
		e.Exemplars = make([][]byte, 0, n)
	}
	for ; n > 0; n-- {
		e.Exemplars = append(e.Exemplars, clip(r.bytes(r.items(1))))
	}
	return e
}

// clip takes the capacity away, so that nobody appends over the next payload.
// The result is not nil.
func clip(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b[:len(b):len(b)]
}
