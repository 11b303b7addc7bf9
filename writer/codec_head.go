package writer

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/golang/snappy"

	"nodepush/metric"
)

// head is the content of a head frame: a part of the dictionary that one
// segment has of one source. Parts follow each other without a gap, so one
// that is lost is known by its absence.
type head struct {
	source    int // number by which later frames of the segment name it
	name      string
	bootID    [16]byte
	rolled    int              // number of sources that the segment began with; 0: written later
	start     int64            // the start time that most series have
	firstDesc int              // number of the first of descs in the segment
	firstID   int              // id of the first of series
	sets      [][]metric.Label // all that the segment has of the source
	descs     []*metric.Desc
	series    []headSeries
	starts    []startChange
	before    bitmap // those of series that the collection before the segment had; counts from firstID
}

type headSeries struct {
	set, desc int // numbers in the segment
	values    []string
	start     int64
}

// startChange says that a series' counter began anew.
type startChange struct {
	id    int
	start int64
}

// Values of the byte before the before field.
const (
	beforeNone = iota
	beforeAll
	beforeSome
)

// append appends the payload of the head frame.
func (h *head) append(dst []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(h.source))
	b = appendString(b, h.name)
	b = append(b, h.bootID[:]...)
	for _, n := range []int{h.rolled, h.firstDesc, h.firstID} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendVarint(b, h.start)
	b = h.appendNames(b)
	b = h.appendSeries(b)
	b = h.appendStarts(b)
	b = h.appendBefore(b)
	return append(append(dst, codecVersion), snappy.Encode(nil, b)...)
}

func (h *head) appendNames(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(h.sets)))
	for _, set := range h.sets {
		b = binary.AppendUvarint(b, uint64(len(set)))
		for _, l := range set {
			b = appendText(appendText(b, l.Name), l.Value)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(h.descs)))
	for _, d := range h.descs {
		b = appendText(appendText(b, d.Name), d.Family)
		b = append(b, byte(d.Type))
		b = appendText(appendText(b, d.Help), d.Unit)
		b = binary.AppendUvarint(b, uint64(len(d.Labels)))
		for _, name := range d.Labels {
			b = appendText(b, name)
		}
	}
	return b
}

func (h *head) appendSeries(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(h.series)))
	for _, s := range h.series {
		b = binary.AppendUvarint(b, uint64(s.set))
		b = binary.AppendUvarint(b, uint64(s.desc))
		b = binary.AppendUvarint(b, uint64(len(s.values)))
		for _, v := range s.values {
			b = appendText(b, v)
		}
	}
	return b
}

// appendStarts appends the column of start times: 0 none, 1 the one that most
// have, else the difference from it.
func (h *head) appendStarts(b []byte) []byte {
	for _, s := range h.series {
		switch s.start {
		case 0:
			b = append(b, 0)
		case h.start:
			b = append(b, 1)
		default:
			b = binary.AppendUvarint(b, 2)
			b = binary.AppendVarint(b, s.start-h.start)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(h.starts)))
	for _, s := range h.starts {
		b = binary.AppendUvarint(b, uint64(s.id))
		b = binary.AppendVarint(b, s.start-h.start)
	}
	return b
}

func (h *head) appendBefore(b []byte) []byte {
	switch h.before.count() {
	case 0:
		return append(b, beforeNone)
	case len(h.series):
		return append(b, beforeAll)
	}
	b = append(b, beforeSome)
	for i := range (len(h.series) + 7) / 8 {
		b = append(b, byte(h.before.word(i/8)>>(i%8*8)))
	}
	return b
}

// appendText appends s with whatever is no UTF-8 replaced by U+FFFD: a
// receiver would refuse the whole request because of it.
func appendText(b []byte, s string) []byte { return appendString(b, validText(s)) }

func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// headReader parses head frames. It keeps one copy of each text of a payload.
type headReader struct {
	byteReader
	texts map[string]string
}

func (r *headReader) text() string {
	b := r.bytes(r.items(1))
	if s, ok := r.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	r.texts[s] = s
	return s
}

// parseHead reads the payload of a head frame. The result is its own memory.
func parseHead(payload []byte, p *packer) (*head, error) {
	if len(payload) == 0 || payload[0] != codecVersion {
		return nil, damaged("head frame of unknown version")
	}
	body, err := p.unpack(payload[1:])
	if err != nil {
		return nil, err
	}
	r := headReader{byteReader{src: body}, map[string]string{}}
	h := &head{source: r.length(maxIDs), name: r.text()}
	copy(h.bootID[:], r.bytes(16))
	for _, n := range []*int{&h.rolled, &h.firstDesc, &h.firstID} {
		*n = r.length(maxIDs)
	}
	h.start = r.varint()
	r.names(h)
	r.series(h)
	r.starts(h)
	r.before(h)
	if r.bad || len(r.src) > 0 || h.firstID+len(h.series) > maxIDs {
		return nil, damaged("head frame")
	}
	return h, nil
}

func (r *headReader) names(h *head) {
	for n := r.items(1); n > 0; n-- {
		set := make([]metric.Label, r.items(2))
		for i := range set {
			set[i] = metric.Label{Name: r.text(), Value: r.text()}
		}
		h.sets = append(h.sets, set)
	}
	for n := r.items(6); n > 0; n-- {
		d := &metric.Desc{Name: r.text(), Family: r.text(), Type: metric.Type(r.byte()), Help: r.text(), Unit: r.text()}
		d.Labels = make([]string, r.items(1))
		for i := range d.Labels {
			d.Labels[i] = r.text()
		}
		h.descs = append(h.descs, d)
	}
}

func (r *headReader) series(h *head) {
	n := r.items(3)
	h.series = make([]headSeries, 0, n)
	for ; n > 0 && !r.bad; n-- {
		s := headSeries{set: r.length(maxIDs), desc: r.length(maxIDs)}
		s.values = make([]string, r.items(1))
		for i := range s.values {
			s.values[i] = r.text()
		}
		h.series = append(h.series, s)
	}
}

func (r *headReader) starts(h *head) {
	for i := range h.series {
		switch r.uvarint() {
		case 0:
		case 1:
			h.series[i].start = h.start
		case 2:
			h.series[i].start = h.start + r.varint()
		default:
			r.fail()
		}
	}
	for n := r.items(2); n > 0; n-- {
		h.starts = append(h.starts, startChange{r.length(maxIDs), h.start + r.varint()})
	}
}

func (r *headReader) before(h *head) {
	h.before = h.before.grown(len(h.series))
	switch r.byte() {
	case beforeNone:
	case beforeAll:
		h.before.setFirst(len(h.series))
	case beforeSome:
		for i, b := range r.bytes((len(h.series) + 7) / 8) {
			h.before[i/8] |= uint64(b) << (i % 8 * 8)
		}
		r.bad = r.bad || bits.Len64(h.before.word(len(h.series)/64)) > len(h.series)%64
	default:
		r.fail()
	}
}
