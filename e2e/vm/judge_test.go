//go:build vm

package vm

import (
	"cmp"
	"slices"
	"testing"
)

// slow is how long before the host saw its frame a collection may have begun:
// a round under emulation takes a part of a second, a hanging disk more.
const slow = 10_000 // ms

// missing returns the frames whose collection is not among the stored ones. A
// frame does not say its time, so the newest stored collection before it was
// seen, that no later frame has taken, is its own.
func missing(frames, stored []message) (lost []message) {
	frames, stored = slices.Clone(frames), slices.Clone(stored)
	slices.SortFunc(frames, func(a, b message) int { return cmp.Compare(b.Wall, a.Wall) })
	slices.SortFunc(stored, func(a, b message) int { return cmp.Compare(b.Time, a.Time) })
	stored = slices.CompactFunc(stored, func(a, b message) bool { return a.Time == b.Time })
	for _, f := range frames {
		for len(stored) > 0 && stored[0].Time > f.Wall {
			stored = stored[1:]
		}
		if len(stored) == 0 || stored[0].Time < f.Wall-slow {
			lost = append(lost, f)
			continue
		}
		stored = stored[1:]
	}
	return lost
}

func TestMissing(t *testing.T) {
	frames := []message{{Seq: 1, Wall: 20_300}, {Seq: 2, Wall: 21_300}, {Seq: 3, Wall: 22_300}}
	for name, c := range map[string]struct {
		stored []int64
		want   int
	}{
		"all":          {[]int64{20_000, 21_000, 22_000}, 0},
		"twice":        {[]int64{20_000, 21_000, 22_000, 20_000, 21_000}, 0},
		"newest gone":  {[]int64{20_000, 21_000}, 1},
		"oldest gone":  {[]int64{21_000, 22_000}, 1},
		"middle gone":  {[]int64{20_000, 22_000}, 1},
		"only later":   {[]int64{23_000, 24_000, 25_000}, 3},
		"only earlier": {[]int64{1000, 2000, 3000}, 3},
		"none":         {nil, 3},
	} {
		var stored []message
		for _, ms := range c.stored {
			stored = append(stored, message{Time: ms})
		}
		if got := missing(frames, stored); len(got) != c.want {
			t.Errorf("%s: missing %v, want %d", name, got, c.want)
		}
	}
}
