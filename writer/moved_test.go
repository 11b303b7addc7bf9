package writer

import (
	"fmt"
	"slices"
	"testing"

	"nodepush/metric"
)

// A series that moves from one source to another, as those of a collector do
// that is given an interval of its own, does not end, whichever of the two is
// first after the start; and no marker is at or after the first value in
// the new place.
func TestSeriesMoves(t *testing.T) {
	at := func(src string, minute, ms int64, values ...string) *metric.Collection {
		c := collection(sited(src, "1"), 60*minute, values...)
		c.Time += ms
		return c
	}
	gone := "[" + label("1", "x") + "]"
	tests := []struct {
		name          string
		before, after []*metric.Collection
		want          []string // source, time, what is gone; of the second run
	}{
		{"the new place first",
			[]*metric.Collection{at("node", 1, 0, "x", "y")},
			[]*metric.Collection{at("node/30s", 2, 0, "x"), at("node", 2, 0, "y"), at("node", 3, 0, "y")},
			[]string{"node/30s 120000 []", "node 120000 []", "node 180000 []"}},
		{"the old place first, in the same millisecond",
			[]*metric.Collection{at("node", 1, 0, "x", "y")},
			[]*metric.Collection{at("node", 2, 0, "y"), at("node/30s", 2, 0, "x"), at("node/30s", 3, 0, "x")},
			[]string{"node 120000 " + gone, "node/30s 120001 []", "node/30s 180000 []"}},
		{"the old place first, though it began later",
			[]*metric.Collection{at("node", 1, 0, "x", "y")},
			[]*metric.Collection{at("node", 2, 9, "y"), at("node/30s", 2, 0, "x")},
			[]string{"node 120009 " + gone, "node/30s 120010 []"}},
		{"back, and the old place is no more",
			[]*metric.Collection{at("node", 1, 0, "y"), at("node/30s", 1, 0, "x", "z")},
			[]*metric.Collection{at("node", 2, 0, "x", "y"), at("node", 8, 0, "x", "y")},
			[]string{"node 120000 []", "node 480000 []", "node/30s 480000 [" + label("1", "z") + "]"}},
		{"to a place that has lost it since: it ends once",
			[]*metric.Collection{at("node", 1, 0, "x", "y")},
			[]*metric.Collection{at("node/30s", 2, 0, "x"), at("node/30s", 3, 0), at("node", 4, 0, "y")},
			[]string{"node/30s 120000 []", "node/30s 180000 []", "node 240000 " + gone}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, n := t.TempDir(), 0
			run(t, dir, tt.before...)
			run(t, dir, tt.after...)
			var got []string
			readLog(t, dir, func(c *decoded, err error) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n > len(tt.before) {
					got = append(got, fmt.Sprint(c.dict.source, " ", c.time-1_800_000_000_000, " ", goneOf(c)))
				}
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
}
