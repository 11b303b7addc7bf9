package writer

import "math"

// class says how a series' values become integers: value = i × times ÷ over,
// rounded once to the nearest float64 by each operation. A value belongs to a
// class when that gives its exact bits again, so no value is ever changed:
// one that fits nowhere (NaN, -0, an arbitrary fraction) is kept as its bits.
// The numbers are written to disk.
type class uint8

// exact is the class of values that are kept as their bits.
const exact class = 15

// integers is the class of whole numbers.
const integers class = 4

// classes run from coarse to fine. Both n÷1000 and n×0.001 occur, depending
// on how a collector turned milliseconds into seconds, and they are different
// floats for one n in eight. 2^22 holds every time of this century to the last
// bit that a float64 has there.
var classes = [exact]struct{ times, over float64 }{
	{4096, 1}, {1024, 1}, {512, 1}, {8, 1}, {1, 1},
	{1, 10}, {1, 100}, {0.01, 1}, {1, 1000}, {0.001, 1},
	{1, 1e6}, {1e-6, 1}, {1, 1 << 22}, {1, 1e9}, {1e-9, 1},
}

// scale returns v as an integer of class c; false when v does not belong to it.
func (c class) scale(v float64) (int64, bool) {
	if c >= exact {
		return 0, false
	}
	f := v
	if c != integers { // the usual case is spared two divisions
		f = math.RoundToEven(v / classes[c].times * classes[c].over)
	}
	if !(math.Abs(f) < 1<<62) {
		return 0, false
	}
	i := int64(f)
	if c == integers {
		return i, math.Float64bits(float64(i)) == math.Float64bits(v)
	}
	return i, math.Float64bits(c.value(i)) == math.Float64bits(v)
}

// value is the inverse of scale.
func (c class) value(i int64) float64 { return float64(i) * classes[c].times / classes[c].over }

// atLeast returns the coarsest class from c on that v belongs to.
func (c class) atLeast(v float64) class {
	for ; c < exact; c++ {
		if _, ok := c.scale(v); ok {
			break
		}
	}
	return c
}

// classOf returns the class to start with for a series that has shown only v.
func classOf(v float64) class { return integers.atLeast(v) }

// normal turns the stale marker into the ordinary NaN: staleness is derived
// from presence, a collector may not claim it.
func normal(v float64) float64 {
	if math.Float64bits(v) == staleNaN {
		return math.Float64frombits(normalNaN)
	}
	return v
}

func zigzag(i int64) uint64   { return uint64(i<<1) ^ uint64(i>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
