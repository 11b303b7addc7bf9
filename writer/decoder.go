package writer

import (
	"fmt"
	"hash/maphash"
	"slices"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// decoder reads the frames of a log, in their order, back into collections.
// It may begin anywhere and survives any gap: what depends on a lost frame is
// an error or counted as lost, and nothing is taken for what it is not. It is
// used by one goroutine.
type decoder struct {
	segment uint64
	sources map[int]*decoderSource // by number
	free    []*decoded
	pack    packer
	data    dataReader
	seed    maphash.Seed
	ending  map[uint64]int // scratch: position in gone by the hash of the series' labels
}

// decoderSource is what the frames of the segment have said of one source so far.
type decoderSource struct {
	dict   *dictionary
	rolled int
	descs  []*metric.Desc // nil where lost
	prev   bitmap         // presence of the collection before
	whole  keyframe       // the last whole one, valid when wholes
	key    keyframe       // the last one or step, valid when keyed
	wholes bool
	keyed  bool
}

func newDecoder() *decoder {
	return &decoder{sources: make(map[int]*decoderSource), seed: maphash.MakeSeed(), ending: make(map[uint64]int)}
}

// decode reads the next frame. It returns nil and no error for a head. The
// result is the caller's until it is released; its dictionary and histograms
// stay valid even then. Every error is errDamaged: the frame's samples
// (countSamples) are lost, and the next frame can be read as usual.
func (d *decoder) decode(f wal.Frame) (c *decoded, err error) {
	if f.Segment != d.segment {
		d.segment = f.Segment
		clear(d.sources)
	}
	switch f.Kind {
	case wal.Head:
		err = d.decodeHead(f.Payload)
	case wal.Key, wal.Data:
		c, err = d.decodeRound(f)
	default:
		err = damaged("unknown kind %d", f.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("frame %d: %w", f.Seq, err)
	}
	return c, nil
}

// release takes back what decode returned.
func (d *decoder) release(c *decoded) {
	c.dict, c.ext = nil, nil
	d.free = append(d.free, c)
}

func (d *decoder) fresh() *decoded {
	if n := len(d.free); n > 0 {
		c := d.free[n-1]
		d.free = d.free[:n-1]
		return c
	}
	return new(decoded)
}

// decodeRound reads a key or data frame.
func (d *decoder) decodeRound(f wal.Frame) (*decoded, error) {
	h, body, err := parseFrameHeader(f.Payload)
	if err != nil {
		return nil, err
	}
	s := d.sources[h.source]
	if s == nil {
		return nil, damaged("head of source number %d", h.source)
	}
	if h.flags&flagSnappy != 0 {
		if body, err = d.pack.unpack(body); err != nil {
			return nil, err
		}
	}
	c := d.fresh()
	var ext []byte
	r := round{present: c.present, values: c.values}
	switch {
	case f.Kind == wal.Data:
		ext, err = d.readData(s, body, h, &r)
	case h.flags&flagStep != 0:
		ext, err = d.readStep(s, body, h, &r)
	default:
		ext, err = s.readKey(body, h, &r)
	}
	c.present, c.values = r.present, r.values
	if err == nil {
		c.ext, err = s.readExt(ext, h, r.present)
	}
	if err != nil {
		d.release(c)
		return nil, err
	}
	c.seq, c.dict, c.time, c.mono = f.Seq, s.dict, r.time, r.mono
	s.finish(c, h)
	d.keepMoved(s, c)
	return c, nil
}

// readKey reads a whole key, to which steps and data frames may refer from now on.
func (s *decoderSource) readKey(body []byte, h frameHeader, r *round) ([]byte, error) {
	s.wholes, s.keyed = false, false
	ext, err := s.whole.parse(body, h)
	if err != nil {
		return nil, err
	}
	s.key.copyOf(&s.whole)
	s.wholes, s.keyed = true, true
	r.time, r.mono = s.whole.time, s.whole.mono
	r.present = r.present.copyOf(s.whole.present)
	r.values = append(r.values[:0], s.whole.values...)
	return ext, nil
}

// readStep reads a step, to which data frames may refer from now on.
func (d *decoder) readStep(s *decoderSource, body []byte, h frameHeader, r *round) ([]byte, error) {
	back := byteReader{src: body}
	whole := h.key - back.uvarint()
	if back.bad || !s.wholes || s.whole.number != whole {
		return nil, damaged("key %d of source %q", whole, s.dict.source)
	}
	ext, err := d.data.read(back.src, h, &s.whole, r)
	if err != nil {
		return nil, err
	}
	s.key.step(&s.whole, r, h.key)
	s.keyed = true
	return ext, nil
}

func (d *decoder) readData(s *decoderSource, body []byte, h frameHeader, r *round) ([]byte, error) {
	if !s.keyed || s.key.number != h.key {
		return nil, damaged("key %d of source %q", h.key, s.dict.source)
	}
	return d.data.read(body, h, &s.key, r)
}

// readExt reads the histograms and exemplars of a frame, of the series that are known.
func (s *decoderSource) readExt(section []byte, h frameHeader, present bitmap) (map[int]*metric.Ext, error) {
	if h.flags&flagExt == 0 {
		if len(section) > 0 {
			return nil, damaged("end of a frame")
		}
		return nil, nil
	}
	list, err := parseExt(section)
	if err != nil {
		return nil, err
	}
	ext := make(map[int]*metric.Ext, len(list))
	for _, e := range list {
		if !present.has(e.id) {
			return nil, damaged("histograms and exemplars of a frame")
		}
		if s.dict.known(e.id) {
			ext[e.id] = e.ext
		}
	}
	return ext, nil
}

// finish takes the series that nobody knows out of c and compares it with the
// collection before.
func (s *decoderSource) finish(c *decoded, h frameHeader) {
	c.lost = 0
	if s.dict.holes || len(c.values) > len(s.dict.series) {
		for id := range c.present.each {
			if !s.dict.known(id) {
				c.present.flip(id)
				c.lost++
			}
		}
	}
	c.count = h.count - c.lost
	c.gone = appendMissing(c.gone[:0], s.prev, c.present)
	s.prev = s.prev.copyOf(c.present)
}

// keepMoved takes out of c.gone what the newest collection of another source
// has: it has moved there, as the series of a collector do that is given an
// interval of its own, and is not over.
func (d *decoder) keepMoved(s *decoderSource, c *decoded) {
	if len(c.gone) == 0 || len(d.sources) < 2 {
		return
	}
	clear(d.ending)
	for i, id := range c.gone {
		d.ending[s.dict.hash(d.seed, id)] = i
	}
	moved := 0
	for _, other := range d.sources {
		if other == s {
			continue
		}
		for id := range other.prev.each {
			if !other.dict.known(id) {
				continue
			}
			i, ok := d.ending[other.dict.hash(d.seed, id)]
			if ok && c.gone[i] >= 0 && slices.Equal(s.dict.series[c.gone[i]].labels, other.dict.series[id].labels) {
				c.gone[i] = -1
				moved++
			}
		}
	}
	if moved > 0 {
		c.gone = slices.DeleteFunc(c.gone, func(id int) bool { return id < 0 })
	}
}

// hash returns a hash of a series' labels, which the dictionary remembers.
func (d *dictionary) hash(seed maphash.Seed, id int) uint64 {
	n := &d.series[id]
	if n.hash == 0 {
		n.hash = hashLabels(seed, n.labels)
	}
	return n.hash
}

// known reports whether the dictionary says who id is.
func (d *dictionary) known(id int) bool { return id < len(d.series) && d.series[id].desc != nil }
