package writer

import "math"

// Orders of the codes of a data frame's own numbers.
const (
	elapsedOrder = 14 // ms since the key
	driftOrder   = 3  // ms by which the wall clock moved against the monotonic one since the key
	toggleOrder  = 3  // number of ids that the key did not have, or that have gone
	changeOrder  = 4  // number of cold series that differ from the key
	orderBits    = 4  // width of an order that stands in the frame
)

// reaches reports whether a data frame at those times can refer to k.
func (k *keyframe) reaches(time, mono int64) bool {
	elapsed := mono - k.mono
	drift := time - k.time - elapsed
	return elapsed >= 0 && elapsed < 1<<33 && drift > -1<<21 && drift < 1<<21
}

// dataCoder writes the bodies of data frames. Its slices are scratch.
type dataCoder struct {
	toggles []int32
	fresh   []int32 // ids the key does not have
	changed []int32 // positions in the key's cold list
}

// append appends the body of a data frame without its ext section and tells
// watch, by id, what the values were like; not a nil watch, which is for
// steps, that are further from their key.
func (e *dataCoder) append(dst []byte, k *keyframe, c *round, watch []tracker) []byte {
	w := bitWriter{dst: dst}
	elapsed := c.mono - k.mono
	w.number(uint64(elapsed), elapsedOrder)
	w.number(zigzag(c.time-k.time-elapsed), driftOrder)
	e.fresh = e.fresh[:0]
	if e.toggles = appendDifference(e.toggles[:0], k.present, c.present); len(e.toggles) > 0 {
		w.ids(e.toggles, toggleOrder, len(k.values))
		for _, id := range e.toggles {
			if c.present.has(int(id)) {
				e.fresh = append(e.fresh, id)
			}
		}
	}
	e.appendHot(&w, k, c, watch)
	e.appendCold(&w, k, c, watch)
	for _, id := range e.fresh {
		w.float(c.values[id], 0)
	}
	return w.flush()
}

// appendHot appends the values of the series that the key calls hot.
func (e *dataCoder) appendHot(w *bitWriter, k *keyframe, c *round, watch []tracker) {
	elapsed := c.mono - k.mono
	for _, id := range k.hot {
		if !c.present.has(int(id)) {
			continue
		}
		v, base, f := c.values[id], k.values[id], &k.forms[id]
		if f.heat == warm {
			if math.Float64bits(v) == math.Float64bits(base) {
				w.put(0, 1)
				continue
			}
			w.put(1, 1)
		}
		w.value(v, base, f, elapsed, watched(watch, id))
	}
}

func watched(watch []tracker, id int32) *tracker {
	if watch == nil {
		return nil
	}
	return &watch[id]
}

// appendCold appends which of the other series differ from the key, and their values.
func (e *dataCoder) appendCold(w *bitWriter, k *keyframe, c *round, watch []tracker) {
	e.changed = e.changed[:0]
	for i, id := range k.cold {
		if math.Float64bits(c.values[id]) != math.Float64bits(k.values[id]) && c.present.has(int(id)) {
			e.changed = append(e.changed, int32(i))
		}
	}
	w.ids(e.changed, changeOrder, len(k.cold))
	for _, i := range e.changed {
		id := k.cold[i]
		w.value(c.values[id], k.values[id], &k.forms[id], 0, watched(watch, id))
	}
}

// value appends v, of which the key says base and f.
func (w *bitWriter) value(v, base float64, f *form, elapsed int64, t *tracker) {
	if f.class == exact {
		t.exact(v, base)
		w.float(v, base)
		return
	}
	i, ok := f.class.scale(v)
	if ok {
		u := zigzag(i - f.expected(elapsed))
		t.note(v, i, f.base, u)
		ok = w.number(u, f.order)
	} else {
		t.misfit(v)
	}
	if !ok {
		w.escape()
		w.float(v, base)
	}
}

// ids appends how many ids there are, and ascending ids as the gaps between them.
func (w *bitWriter) ids(ids []int32, countOrder uint8, of int) {
	w.number(uint64(len(ids)), countOrder)
	if len(ids) == 0 {
		return
	}
	order := gapOrder(len(ids), of)
	w.put(uint64(order), orderBits)
	next := int32(0)
	for _, id := range ids {
		w.number(uint64(id-next), order)
		next = id + 1
	}
}

// gapOrder is the order that suits the gaps between n ids out of so many.
func gapOrder(n, of int) uint8 {
	order := uint8(0)
	for gap := of / n / 2; gap > 0 && order < 1<<orderBits-1; gap >>= 1 {
		order++
	}
	return order
}

// ids reads what bitWriter.ids wrote, all below limit.
func (r *bitReader) ids(dst []int32, countOrder uint8, limit int) []int32 {
	n := r.mustNumber(countOrder)
	if r.bad || n == 0 {
		return dst
	}
	order := uint8(r.take(orderBits))
	next := uint64(0)
	for ; n > 0; n-- {
		next += r.mustNumber(order)
		if r.bad || next >= uint64(limit) {
			r.bad = true
			return dst
		}
		dst = append(dst, int32(next))
		next++
	}
	return dst
}

// value reads what bitWriter.value wrote.
func (r *bitReader) value(base float64, f *form, elapsed int64) float64 {
	if f.class == exact {
		return r.float(base)
	}
	u, ok := r.number(f.order)
	if !ok {
		return r.float(base)
	}
	return f.class.value(f.expected(elapsed) + unzigzag(u))
}

// dataReader reads the bodies of data frames. Its slices are scratch.
type dataReader struct {
	toggles, changed []int32
}

// read lays out in c the collection of a data frame that refers to k, and
// returns the ext section. c.values has room for all ids of k and for those
// it did not know; after an error c's content is undefined.
func (e *dataReader) read(body []byte, h frameHeader, k *keyframe, c *round) ([]byte, error) {
	r := bitReader{src: body}
	elapsed := int64(r.mustNumber(elapsedOrder))
	c.mono = k.mono + elapsed
	c.time = k.time + elapsed + unzigzag(r.mustNumber(driftOrder))
	c.present, c.count = c.present.copyOf(k.present), h.count
	c.values = append(c.values[:0], k.values...)
	e.toggles = e.toggles[:0]
	if h.flags&flagPresence != 0 {
		e.toggles = r.ids(e.toggles, toggleOrder, maxIDs)
		c.toggle(e.toggles)
	}
	e.readHot(&r, k, c)
	e.readCold(&r, k, c)
	for _, id := range e.toggles {
		if c.present.has(int(id)) {
			c.values[id] = r.float(0)
		}
	}
	ext, ok := r.rest()
	if !ok || c.present.count() != h.count {
		return nil, damaged("values of a data frame")
	}
	return ext, nil
}

// toggle changes the presence of ids, which are ascending, and makes room for them.
func (c *round) toggle(ids []int32) {
	if len(ids) == 0 {
		return
	}
	n := max(len(c.values), int(ids[len(ids)-1])+1)
	c.present, c.values = c.present.grown(n), resized(c.values, n)
	for _, id := range ids {
		c.present.flip(int(id))
	}
}

func (e *dataReader) readHot(r *bitReader, k *keyframe, c *round) {
	elapsed := c.mono - k.mono
	for _, id := range k.hot {
		f := &k.forms[id]
		if c.present.has(int(id)) && (f.heat == hot || r.take(1) != 0) {
			c.values[id] = r.value(k.values[id], f, elapsed)
		}
	}
}

func (e *dataReader) readCold(r *bitReader, k *keyframe, c *round) {
	e.changed = r.ids(e.changed[:0], changeOrder, len(k.cold))
	for _, i := range e.changed {
		id := k.cold[i]
		if !c.present.has(int(id)) {
			r.bad = true
			return
		}
		c.values[id] = r.value(k.values[id], &k.forms[id], 0)
	}
}
