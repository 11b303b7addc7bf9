package writer

import (
	"hash/maphash"
	"slices"
	"strings"

	"nodepush/metric"
)

const nameLabel = "__name__"

// appendIdentity appends the complete label set of a series, sorted by name:
// the metric's name, the series' own labels, and those of the source that the
// series does not have itself. An empty value means that there is no such
// label, so it hides nothing; a label without a name is left out.
func appendIdentity(dst []metric.Label, source []metric.Label, d *metric.Desc, values []string) []metric.Label {
	start := len(dst)
	dst = append(dst, metric.Label{Name: nameLabel, Value: validText(d.Name)})
	for i, name := range d.Labels {
		dst = appendLabel(dst, name, values[i])
	}
	for _, l := range source {
		dst = appendLabel(dst, l.Name, l.Value)
	}
	// Of labels with one name the first wins.
	slices.SortStableFunc(dst[start:], func(a, b metric.Label) int { return strings.Compare(a.Name, b.Name) })
	kept := slices.CompactFunc(dst[start:], func(a, b metric.Label) bool { return a.Name == b.Name })
	return dst[:start+len(kept)]
}

func appendLabel(dst []metric.Label, name, value string) []metric.Label {
	if name == "" || value == "" {
		return dst
	}
	return append(dst, metric.Label{Name: validText(name), Value: validText(value)})
}

// hashLabels returns a hash of a complete label set.
func hashLabels(seed maphash.Seed, labels []metric.Label) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, l := range labels {
		h.WriteString(l.Name)
		h.WriteByte(0xff) // is in no UTF-8 text
		h.WriteString(l.Value)
		h.WriteByte(0xff)
	}
	return h.Sum64()
}

// spelling is a series as samples name it. One series has several when it is
// described twice, by label names in another order say.
type spelling struct {
	desc   *metric.Desc
	values []string // its own memory
	id     int32
	pos    int32 // in the collection that had it last
	next   int32 // another spelling with the same hash, -1: none
}

// spells reports whether s is named so.
func (n *spelling) spells(s *metric.Sample) bool {
	return n.desc == s.Desc && slices.Equal(n.values, s.Values)
}

// spellings finds the spelling of a sample, by hash.
type spellings struct {
	list []spelling
	hash map[uint64]int32 // position of one in list, the others by next
	seed maphash.Seed
}

func newSpellings() spellings {
	return spellings{hash: make(map[uint64]int32), seed: maphash.MakeSeed()}
}

func (t *spellings) hashOf(s *metric.Sample) uint64 {
	h := maphash.Comparable(t.seed, s.Desc)
	for _, v := range s.Values {
		h = h*0x9e3779b97f4a7c15 ^ maphash.String(t.seed, v)
	}
	return h
}

// find returns the position of a sample's spelling, -1 when it is new.
func (t *spellings) find(s *metric.Sample, hash uint64) int32 {
	n, ok := t.hash[hash]
	for ; ok && n >= 0; n = t.list[n].next {
		if t.list[n].spells(s) {
			return n
		}
	}
	return -1
}

// add returns the position of a new spelling.
func (t *spellings) add(s *metric.Sample, hash uint64, id int32) int32 {
	next, ok := t.hash[hash]
	if !ok {
		next = -1
	}
	values := make([]string, len(s.Values))
	for i, v := range s.Values {
		values[i] = strings.Clone(v) // what it is part of may be a whole file
	}
	n := int32(len(t.list))
	t.list = append(t.list, spelling{s.Desc, values, id, 0, next})
	t.hash[hash] = n
	return n
}

// keep forgets the spellings of ids that newID maps below 0 and gives the
// others their new one. It returns the new positions of the old ones.
func (t *spellings) keep(newID []int32) []int32 {
	old := t.list
	t.list = nil
	clear(t.hash)
	moved := make([]int32, len(old))
	for i := range old {
		n := &old[i]
		moved[i] = -1
		if id := newID[n.id]; id >= 0 {
			s := metric.Sample{Desc: n.desc, Values: n.values}
			moved[i] = t.add(&s, t.hashOf(&s), id)
			t.list[moved[i]].pos = n.pos
		}
	}
	return moved
}
