package writer

import (
	"hash/maphash"
	"slices"

	"nodepush/metric"
)

// entry is a series of the encoder's dictionary.
type entry struct {
	desc   *metric.Desc
	values []string
	set    int32 // label set
	next   int32 // another id with the same hash of its labels, -1: none
	start  int64
}

// encoderSource is what the encoder knows of one source.
type encoderSource struct {
	name   string
	number int
	bootID [16]byte
	start  int64
	source *metric.Source // nil while only the previous run's log knows it
	begun  bool           // this run wrote a collection of it

	sets     [][]metric.Label
	set      int32   // that of new series
	entries  []entry // by id
	byLabels map[uint64]int32
	seed     maphash.Seed
	names    spellings

	order, reorder []int32 // spellings of the last collection that was matched, and of the one before
	round          round   // the collection being written
	last           bitmap  // presence of the last collection that was written
	alive          int     // number of ids in last

	dict     written
	starts   []startChange // of ids that the segment already has
	trackers []tracker     // by id
	whole    keyframe      // the last one
	key      keyframe      // the last whole one or step, to which data frames refer
	nextKey  keyframe
	cadence
}

// written is how much of the dictionary the segment has.
type written struct {
	head    bool // anything at all
	ids     int
	descs   int
	numbers map[*metric.Desc]int
	list    []*metric.Desc // by number
}

func newEncoderSource(name string) *encoderSource {
	return &encoderSource{
		name:     name,
		byLabels: make(map[uint64]int32),
		seed:     maphash.MakeSeed(),
		names:    newSpellings(),
		dict:     written{numbers: make(map[*metric.Desc]int)},
		cadence:  cadence{period: firstPeriod},
	}
}

// restoredSource returns the state of a source as the previous run left it.
// Its series have no spellings; they are found again by their labels.
func restoredSource(l lastCollection) *encoderSource {
	s := newEncoderSource(l.dict.source)
	s.bootID = l.dict.bootID
	for id := range l.present.each {
		old := &l.dict.series[id]
		values := make([]string, len(old.desc.Labels))
		var rest []metric.Label
		for _, label := range old.labels {
			if i := slices.Index(old.desc.Labels, label.Name); i >= 0 {
				values[i] = label.Value
			} else if label.Name != nameLabel {
				rest = append(rest, label)
			}
		}
		s.addEntry(entry{desc: old.desc, values: values, set: s.setOf(rest), start: old.start}, hashLabels(s.seed, old.labels))
	}
	n := len(s.entries)
	s.last = s.last.grown(n)
	s.last.setFirst(n)
	s.alive = n
	return s
}

// setOf returns the number of a label set.
func (s *encoderSource) setOf(set []metric.Label) int32 {
	for i, other := range s.sets {
		if slices.Equal(set, other) {
			return int32(i)
		}
	}
	s.sets = append(s.sets, set)
	return int32(len(s.sets) - 1)
}

// adopt makes src the origin of the collections to come. Their series are
// found again by their labels, where those have not changed.
func (s *encoderSource) adopt(src *metric.Source) {
	s.source, s.bootID, s.start = src, src.BootID, src.Start
	s.set = s.setOf(slices.Clone(src.Labels))
	s.names = newSpellings()
	s.order = s.order[:0]
}

// begin starts an empty round.
func (s *encoderSource) begin(time, mono int64) {
	r := &s.round
	r.time, r.mono, r.count = time, mono, 0
	clear(r.ext)
	r.ext = r.ext[:0]
	clear(r.present)
	s.reorder, s.order = s.order, s.reorder[:0]
}

func (s *encoderSource) addEntry(n entry, hash uint64) int32 {
	next, ok := s.byLabels[hash]
	if !ok {
		next = -1
	}
	n.next = next
	id := int32(len(s.entries))
	s.entries = append(s.entries, n)
	s.trackers = append(s.trackers, tracker{})
	s.byLabels[hash] = id
	return id
}

// compact makes the dictionary that of a new segment: without the series that
// neither the last collection nor, when that counts, the round has. The round's
// come first, in its order, so that ids and positions agree.
func (s *encoderSource) compact(withRound bool) {
	newID := make([]int32, len(s.entries))
	for i := range newID {
		newID[i] = -1
	}
	var kept []int32
	keep := func(id int32) {
		if newID[id] < 0 {
			newID[id] = int32(len(kept))
			kept = append(kept, id)
		}
	}
	if withRound && s.round.count > 0 {
		for _, n := range s.order {
			keep(s.names.list[n].id)
		}
	}
	for id := range s.last.each {
		keep(int32(id))
	}
	s.renumber(kept)
	s.last = renumbered(s.last, kept)
	s.round.present = renumbered(s.round.present, kept)
	if withRound {
		for i := range s.round.ext {
			s.round.ext[i].id = int(newID[s.round.ext[i].id])
		}
		slices.SortFunc(s.round.ext, byID)
	}
	s.renameOrder(s.names.keep(newID))
	s.dict = written{numbers: make(map[*metric.Desc]int)}
	s.starts = s.starts[:0]
	s.keyed, s.keys = false, 0
}

// renumber leaves only the ids in kept, which become 0, 1, 2…
func (s *encoderSource) renumber(kept []int32) {
	s.compactSets(kept)
	entries := permuted(s.entries, kept)
	s.entries, s.trackers = nil, permuted(s.trackers, kept)
	trackers := s.trackers
	clear(s.byLabels)
	var labels []metric.Label
	for _, n := range entries {
		labels = appendIdentity(labels[:0], s.sets[n.set], n.desc, n.values)
		s.addEntry(n, hashLabels(s.seed, labels))
	}
	s.trackers = trackers[:len(kept)]
	s.whole.present = renumbered(s.whole.present, kept)
	s.whole.forms = permuted(s.whole.forms, kept)
	s.round.values = permuted(s.round.values, kept)
}

// compactSets leaves only the label sets that kept ids have, and the current one.
func (s *encoderSource) compactSets(kept []int32) {
	old := s.sets
	s.sets = nil
	if s.source != nil {
		s.set = s.setOf(old[s.set])
	}
	for _, id := range kept {
		n := &s.entries[id]
		n.set = s.setOf(old[n.set])
	}
}

// renameOrder replaces the spellings in order by those they have become.
func (s *encoderSource) renameOrder(moved []int32) {
	kept := s.order[:0]
	for _, n := range s.order {
		if moved[n] >= 0 {
			kept = append(kept, moved[n])
		}
	}
	s.order = kept
	for i, n := range s.order {
		s.names.list[n].pos = int32(i)
	}
}

// permuted returns the elements of s at the positions kept; the zero value
// where s has none.
func permuted[T any](s []T, kept []int32) []T {
	out := make([]T, len(kept))
	for i, id := range kept {
		if int(id) < len(s) {
			out[i] = s[id]
		}
	}
	return out
}

// renumbered is permuted for a set of ids.
func renumbered(b bitmap, kept []int32) bitmap {
	out := bitmap(nil).grown(len(kept))
	for i, id := range kept {
		if b.has(int(id)) {
			out.set(i)
		}
	}
	return out
}
