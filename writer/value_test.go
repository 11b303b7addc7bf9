package writer

import (
	"math"
	"math/rand/v2"
	"testing"
)

// times multiplies at run time, with rounding.
func times(a, b float64) float64 { return a * b }

func TestClass(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value float64
		want  class
	}{
		{"zero", 0, integers},
		{"minus zero", math.Copysign(0, -1), exact},
		{"integer", 17, integers},
		{"page multiple starts as an integer", 8192, integers},
		{"tenth", 0.3, 5},
		{"centiseconds", 1234567.0 / 100, 6},
		{"centiseconds, multiplied", times(35, 0.01), 7},
		{"milliseconds", 1.0 / 1000, 8},
		{"microseconds", 123.0 / 1e6, 10},
		{"time of day", 1_795_308_228.1234567, 12},
		{"nanoseconds", 123456789.0 / 1e9, 13},
		{"third", 1.0 / 3, exact},
		{"NaN", math.NaN(), exact},
		{"infinity", math.Inf(-1), exact},
		{"largest", math.MaxFloat64, exact},
		{"denormal", math.SmallestNonzeroFloat64, exact},
		{"2^61", 1 << 61, integers},
		{"2^62 has no room", 1 << 62, exact},
	} {
		if got := classOf(tt.value); got != tt.want {
			t.Errorf("%s: classOf(%v) = %d, want %d", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestClassCoarsest(t *testing.T) {
	for c, want := range map[float64]class{4096 * 5: 0, 1024 * 5: 1, 512 * 5: 2, 8 * 5: 3, 5: 4} {
		if got := class(0).atLeast(c); got != want {
			t.Errorf("class(0).atLeast(%v) = %d, want %d", c, got, want)
		}
	}
}

// A number comes back in every order that has a code for it, and escapes where none has.
func TestBitNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		u, k := r.Uint64()>>r.IntN(64), uint8(r.IntN(maxOrder+1))
		lead := uint(r.IntN(8))
		w := bitWriter{}
		w.put(0, lead)
		ok := w.number(u, k)
		if !ok {
			w.escape()
		}
		w.put(5, 3)
		got := bitReader{src: w.flush()}
		got.take(lead)
		v, coded := got.number(k)
		if coded != ok || ok && v != u {
			t.Fatalf("%d in order %d: %d, %v, want %v", u, k, v, coded, ok)
		}
		if u < 1<<20<<k && !ok {
			t.Fatalf("%d has no code in order %d", u, k)
		}
		if tail := got.take(3); tail != 5 || got.bad {
			t.Fatalf("%d in order %d: followed by %d", u, k, tail)
		}
		if rest, ok := got.rest(); !ok || len(rest) != 0 {
			t.Fatalf("%d in order %d: rest %v, %v", u, k, rest, ok)
		}
	}
}

// FuzzValue writes two values as a key and a data frame hold them, in every
// class and heat.
func FuzzValue(f *testing.F) {
	for _, v := range []uint64{0, 1 << 63, 0x7ff0000000000000, 0x7ff0000000000002, 0x7ff8000000000bad, 0x3fb999999999999a, 1, math.MaxUint64} {
		f.Add(v, uint64(0x40c3880000000000), uint8(3), int64(1<<40), int64(99))
	}
	f.Fuzz(func(t *testing.T, key, value uint64, order uint8, slope, elapsed int64) {
		base, v := math.Float64frombits(key), math.Float64frombits(value)
		for c := range exact + 1 {
			i, ok := c.scale(base)
			if !ok && c != exact {
				continue
			}
			f := form{base: i, slope: slope, class: c, order: order % (maxOrder + 1), heat: hot}
			w := bitWriter{}
			w.value(v, base, &f, elapsed, nil)
			r := bitReader{src: w.flush()}
			if got := math.Float64bits(r.value(base, &f, elapsed)); got != value || r.bad {
				t.Fatalf("class %d, order %d: %x after %x came back as %x", c, f.order, value, key, got)
			}
		}
	})
}
