package writer

import "math/bits"

// tracker is what the encoder learns of a series between two keys, to choose
// the form in which the next one has it.
type tracker struct {
	class   class  // of the next key
	coarse  class  // the coarsest class of every value noted since the last key
	known   bool   // class says something
	up      bool   // the value rose
	down    bool   // the value fell
	order   uint8  // of the last form
	heat    heat   // in the last form
	moved   uint16 // frames in which it was not that of the frame before
	changed uint16 // frames since the key in which the value was not the key's
	seen    uint16 // frames since the key that say something of the difference's size
	lengths uint32 // bits of all those differences
	prev    int64  // the last value, in the class of the key
}

const (
	coldOrder  = 4 // of a series of which nothing is known
	learnAfter = 4 // changes that say something
)

// note is told that a frame has v, which is i in the class of the key; the
// key has base, and u is the difference that was coded.
func (t *tracker) note(v float64, i, base int64, u uint64) {
	if t == nil {
		return
	}
	if i != t.prev && t.moved < 1<<15 {
		t.moved++
	}
	if i != base && t.changed < 1<<15 {
		t.changed++
	}
	t.up = t.up || i > t.prev
	t.down = t.down || i < t.prev
	t.prev = i
	t.coarse = t.coarse.atLeast(v)
	if t.seen < 1<<15 {
		t.seen++
		t.lengths += uint32(bits.Len64(u))
	}
}

// misfit is told that a frame has a value that the key's class cannot express.
func (t *tracker) misfit(v float64) {
	if t == nil {
		return
	}
	t.class = t.class.atLeast(v)
	t.coarse = t.coarse.atLeast(v)
	t.changed++
}

// exact is told that a frame has v in a series that the key keeps as bits.
func (t *tracker) exact(v, base float64) {
	if t == nil {
		return
	}
	t.coarse = t.coarse.atLeast(v)
	if v != base {
		t.changed++
	}
}

// form chooses how the data frames after a key code the series, whose value
// is v at the key. was is its form in the key before, nil when it had none,
// elapsed the time since that one and frames the number of data frames.
func (t *tracker) form(v float64, was *form, elapsed int64, frames int) form {
	t.choose(v)
	f := form{class: t.class}
	f.base, _ = f.class.scale(v)
	if was == nil {
		t.order = coldOrder
	} else if frames >= learnAfter {
		if t.seen > 0 {
			t.order = uint8((t.lengths + uint32(t.seen)/2) / uint32(t.seen))
		}
	}
	f.order = min(t.order, maxOrder)
	if was != nil && 2*int(t.moved) >= frames && t.up != t.down && elapsed > 0 && was.class == f.class {
		f.slope = slopeOf(f.base-was.base, elapsed)
	}
	if was != nil && frames >= learnAfter {
		t.heat = t.heatAfter(frames, f)
	}
	f.heat = t.heat
	*t = tracker{class: t.class, known: true, order: t.order, heat: t.heat, prev: f.base}
	return f
}

// heatAfter chooses what takes the fewest bits if the series goes on as in
// the frames seen: a difference each time, or a bit each time and a difference
// for each change, or a difference and some four bits of name for each change.
func (t *tracker) heatAfter(frames int, f form) heat {
	changed, each := int(t.changed), int(f.order)+2
	switch {
	case f.slope != 0 || (frames-changed)*each < frames:
		return hot
	case 4*changed >= frames:
		return warm
	}
	return cold
}

// choose sets the class of the next key: the coarsest that the values since
// the last one had, when they were enough to tell, or else one at least as
// fine as the one before. One integer in eight is divisible by eight, so a
// new series of integers starts as nothing more than that.
func (t *tracker) choose(v float64) {
	switch {
	case !t.known:
		t.class = classOf(v)
	case t.changed >= learnAfter:
		t.class = t.coarse
	}
	t.class = t.class.atLeast(v)
}

// slopeOf returns the change per millisecond, 0 where it has no room.
func slopeOf(change, elapsed int64) int64 {
	const most = 1 << (62 - slopeBits)
	if change > most || change < -most {
		return 0
	}
	return change << slopeBits / elapsed
}
