package writer

import (
	"maps"
	"slices"

	"nodepush/writer/wal"
)

// lastCollection is what the log says of the last collection of a source.
type lastCollection struct {
	dict    *dictionary
	present bitmap // every id in it is known
}

// restoreSegments is how many segments restore looks at: the newest has every
// source, unless the previous run died while it began it or its heads are damaged.
const restoreSegments = 4

// restore returns the last intact collection of each source that the log has,
// from its newest segments. It is called before the log is appended to.
func restore(log *wal.Log) []lastCollection {
	var found []lastCollection
	have := make(map[string]bool)
	end := log.End()
	for range restoreSegments {
		if end == 0 {
			break
		}
		d, first := decodeSegment(log, end-1)
		if first >= end {
			break
		}
		for _, number := range slices.Sorted(maps.Keys(d.sources)) {
			if s := d.sources[number]; !have[s.dict.source] {
				have[s.dict.source] = true
				found = append(found, lastCollection{s.dict, s.prev})
			}
		}
		if d.complete() {
			break
		}
		end = first
	}
	return found
}

// decodeSegment reads the segment that holds the frame with that number, and
// returns what it says and its first number, which is above seq when there is
// no such segment.
func decodeSegment(log *wal.Log, seq uint64) (*decoder, uint64) {
	d := newDecoder()
	r := log.Reader(seq)
	defer r.Close()
	f, ok := r.Next()
	if !ok {
		return d, seq + 1
	}
	for first := f.Segment; ok && f.Segment == first; f, ok = r.Next() {
		if c, err := d.decode(f); err == nil && c != nil {
			d.release(c)
		}
	}
	return d, d.segment
}

// complete reports whether the heads of all sources that the segment began
// with could be read.
func (d *decoder) complete() bool {
	rolled, have := 0, 0
	for _, s := range d.sources {
		rolled = max(rolled, s.rolled)
		if s.rolled > 0 && !s.dict.holes {
			have++
		}
	}
	return have > 0 && have >= rolled
}
