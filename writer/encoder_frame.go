package writer

import (
	"encoding/binary"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// Collections between two whole keys of a source. The first periods are short,
// because the first keys do not know yet how the series behave. A lost key
// costs one period at most, and the longer a period, the less the keys cost.
const (
	firstPeriod = 8
	fullPeriod  = 64
	stepPeriod  = 5 // collections from one step to the next
	calm        = 4 // data frames after a key whose size is taken for normal
)

// cadence says when the next key pays.
type cadence struct {
	keyed  bool   // the segment has a key of the source
	keys   uint64 // number of keys it has, steps among them
	period int
	frames int // collections since the whole key
	data   int // data frames since the whole key
	steps  int // collections since the last key of either kind
	size   int // bytes of the whole key
	early  int // bytes of the first calm data frames
	excess int // bytes that the others took beyond those
}

// keyDue reports whether the round is written as a whole key: because there is none
// to refer to, or it is old, or the data frames have grown by more than a key takes.
func (s *encoderSource) keyDue() bool {
	return !s.keyed || s.frames >= s.period || s.excess >= s.size ||
		!s.key.reaches(s.round.time, s.round.mono) || !s.whole.reaches(s.round.time, s.round.mono)
}

// frame returns the round of s as a frame. It is valid until the next call.
func (e *encoder) frame(s *encoderSource) (wal.Kind, []byte) {
	kind, h := e.appendBody(s)
	if len(s.round.ext) > 0 {
		h.flags |= flagExt
		e.body = appendExt(e.body, s.round.ext)
	}
	body := e.body
	if kind == wal.Key && h.flags&flagStep == 0 || h.flags&flagExt != 0 { // the bits of a data frame do not shrink
		packed, ok := e.pack.pack(body)
		if ok {
			body, h.flags = packed, h.flags|flagSnappy
		}
	}
	e.payload = append(h.append(e.payload[:0]), body...)
	return kind, e.payload
}

// appendBody chooses what the round becomes, a whole key, a step or data, and
// puts its body without the ext section in e.body.
func (e *encoder) appendBody(s *encoderSource) (wal.Kind, frameHeader) {
	h := frameHeader{source: s.number, count: s.round.count, key: s.keys}
	kind := wal.Key
	e.body = e.body[:0]
	switch {
	case s.keyDue():
		if e.absent = e.appendKey(s); len(e.absent) > 0 {
			h.flags |= flagPresence
		}
		return kind, h
	case s.steps >= stepPeriod:
		h.flags |= flagStep
		e.body = binary.AppendUvarint(e.body, s.keys-s.whole.number)
		e.body = e.coder.append(e.body, &s.whole, &s.round, nil)
		s.key.step(&s.whole, &s.round, s.keys)
	default:
		kind, h.key = wal.Data, s.keys-1
		e.body = e.coder.append(e.body, &s.key, &s.round, s.trackers)
	}
	if len(e.coder.toggles) > 0 {
		h.flags |= flagPresence
	}
	return kind, h
}

// appendKey builds the key frame of the round and returns which ids it lacks.
func (e *encoder) appendKey(s *encoderSource) []int32 {
	r, k := &s.round, &s.nextKey
	n := len(s.entries)
	k.resize(n)
	k.number, k.time, k.mono = s.keys, r.time, r.mono
	copy(k.present, r.present)
	for id := range r.present.each {
		var was *form
		if s.whole.present.has(id) {
			was = &s.whole.forms[id]
		}
		k.values[id] = r.values[id]
		k.forms[id] = s.trackers[id].form(r.values[id], was, r.mono-s.whole.mono, s.data)
	}
	k.list()
	e.absent = e.absent[:0]
	for id := range n {
		if !k.present.has(id) {
			e.absent = append(e.absent, int32(id))
		}
	}
	e.body = k.append(e.body, e.absent)
	s.whole, s.nextKey = s.nextKey, s.whole
	s.key.copyOf(&s.whole)
	return e.absent
}

// written notes that the log has the round.
func (s *encoderSource) written(kind wal.Kind, size int) {
	s.last, s.alive = s.last.copyOf(s.round.present), s.round.count
	s.frames++
	s.steps++
	if kind == wal.Key {
		s.keyed, s.keys, s.steps = true, s.keys+1, 1
		if s.whole.number == s.key.number {
			s.frames, s.data, s.size, s.early, s.excess = 1, 0, size, 0, 0
			if s.keys > 1 {
				s.period = min(2*s.period, fullPeriod)
			}
		}
		return
	}
	if s.data++; s.data <= calm {
		s.early += size
	} else {
		s.excess += size - s.early/calm
	}
}

// A head frame holds at most so much, so that it stays far below the largest
// payload and a reader can refuse what would expand without measure.
const (
	headBytes  = 1 << 20
	headLabels = 1 << 18
)

// incomplete reports whether the segment lacks something of the dictionary.
func (s *encoderSource) incomplete() bool {
	return !s.dict.head || s.dict.ids < len(s.entries) || len(s.starts) > 0
}

// nextHead returns a head frame with the next part of what the segment lacks,
// and takes it for written. rolled is the number of sources that the segment
// begins with, 0 when it exists already.
func (s *encoderSource) nextHead(rolled int) []byte {
	d := &s.dict
	h := head{
		source: s.number, name: s.name, bootID: s.bootID, rolled: rolled, start: s.start,
		firstDesc: d.descs, firstID: d.ids, sets: s.sets, starts: s.starts,
	}
	if rolled > 0 {
		h.firstDesc = 0 // none of several parts needs another
	}
	size, labels := 0, 0
	for _, n := range s.entries[d.ids:] {
		if size > headBytes || labels > headLabels {
			break
		}
		h.series = append(h.series, headSeries{int(n.set), d.number(n.desc), n.values, n.start})
		labels += 1 + len(n.values) + len(s.sets[n.set])
		for _, v := range n.values {
			size += len(v) + 2
		}
	}
	h.descs = d.list[h.firstDesc:]
	h.before = h.before.grown(len(h.series))
	if rolled > 0 {
		for i := range h.series {
			if s.last.has(h.firstID + i) {
				h.before.set(i)
			}
		}
	}
	d.head, d.descs, d.ids = true, len(d.list), d.ids+len(h.series)
	s.starts = s.starts[:0]
	return h.append(nil)
}

// number returns the number of a description in the segment.
func (d *written) number(desc *metric.Desc) int {
	n, ok := d.numbers[desc]
	if !ok {
		n = len(d.list)
		d.numbers[desc] = n
		d.list = append(d.list, desc)
	}
	return n
}
