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
		d := decodeLast(log, end)
		if d.segment == 0 {
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
		end = d.segment
	}
	return found
}

// decodeLast decodes the last segment that has a frame below end; the decoder
// has no segment when there is none. Segments without any may come after it, so the search goes
// back in growing strides, and then reads on.
func decodeLast(log *wal.Log, end uint64) *decoder {
	for stride := uint64(1); ; stride *= 2 {
		from := end - min(stride, end)
		if d := decodeRange(log, from, end); d.segment > 0 || from == 0 {
			return d
		}
	}
}

// decodeRange decodes from the segment that holds from to before end. What the
// decoder knows in the end is about the last segment.
func decodeRange(log *wal.Log, from, end uint64) *decoder {
	d := newDecoder()
	r := log.Reader(from)
	defer r.Close()
	for f, ok := r.Next(); ok && f.Seq < end; f, ok = r.Next() {
		if c, err := d.decode(f); err == nil && c != nil {
			d.release(c)
		}
	}
	return d
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
