package writer

import (
	"slices"

	"nodepush/metric"
)

// match lays out c by ids in the round of s. A collection has nearly always
// the series of the last one in the same order, so each sample is compared
// with the one that was there; where it differs, one look-up says where to go on.
func (e *encoder) match(s *encoderSource, c *metric.Collection) {
	s.begin(c.Time, c.Mono)
	pos, moved := 0, len(c.Samples) != len(s.reorder)
	for i := range c.Samples {
		sample := &c.Samples[i]
		if pos < len(s.reorder) && s.names.list[s.reorder[pos]].spells(sample) {
			e.take(s, sample, s.reorder[pos])
			pos++
			continue
		}
		moved = true
		n := e.lookUp(s, sample)
		if n < 0 {
			continue
		}
		if at := int(s.names.list[n].pos); at < len(s.reorder) && s.reorder[at] == n {
			pos = at + 1
		}
		e.take(s, sample, n)
	}
	if moved {
		for i, n := range s.order {
			s.names.list[n].pos = int32(i)
		}
	}
	if !slices.IsSortedFunc(s.round.ext, byID) {
		slices.SortFunc(s.round.ext, byID)
	}
}

func byID(a, b extSample) int { return a.id - b.id }

// take puts a sample that is spelled n into the round.
func (e *encoder) take(s *encoderSource, sample *metric.Sample, n int32) {
	s.order = append(s.order, n)
	id, r := int(s.names.list[n].id), &s.round
	if id >= len(r.values) {
		r.values = resized(r.values, len(s.entries))
		r.present = r.present.grown(len(s.entries))
	}
	if r.present.has(id) {
		e.drops.duplicate++
		return
	}
	r.present.set(id)
	r.count++
	r.values[id] = normal(sample.Value)
	if sample.Start != 0 {
		s.restart(id, s.startOf(sample))
	}
	if sample.Ext != nil && (sample.Ext.Histogram != nil || len(sample.Ext.Exemplars) > 0) {
		s.round.ext = append(s.round.ext, extSample{id, sample.Ext})
	}
}

// restart sets when the counter of a series began.
func (s *encoderSource) restart(id int, start int64) {
	if s.entries[id].start == start {
		return
	}
	s.entries[id].start = start
	if id < s.dict.ids {
		s.starts = append(s.starts, startChange{id, start})
	}
}

// startOf returns when the counter of a sample began; 0 for what does not count.
func (s *encoderSource) startOf(sample *metric.Sample) int64 {
	switch {
	case !cumulative(sample.Desc):
		return 0
	case sample.Start != 0:
		return sample.Start
	}
	return s.start
}

// cumulative reports whether series of a description begin at some time and
// only grow: counters, and of histograms and summaries all but the quantiles.
func cumulative(d *metric.Desc) bool {
	switch d.Type {
	case metric.Counter, metric.Histogram:
		return true
	case metric.Summary:
		return !slices.Contains(d.Labels, "quantile")
	}
	return false
}

// lookUp returns the spelling of a sample that is not where it was, which may
// be new; -1 when the sample cannot be kept.
func (e *encoder) lookUp(s *encoderSource, sample *metric.Sample) int32 {
	hash := s.names.hashOf(sample)
	if n := s.names.find(sample, hash); n >= 0 {
		return n
	}
	if !writable(sample) {
		e.drops.invalid++
		return -1
	}
	id := e.identify(s, sample)
	if id < 0 {
		e.drops.overflow++
		return -1
	}
	n := s.names.add(sample, hash, id)
	s.entries[id].desc, s.entries[id].values = sample.Desc, s.names.list[n].values
	s.entries[id].set = s.set
	return n
}

// maxText is what the texts of one series may take, far more than any
// receiver accepts: a head frame must hold them.
const maxText = 64 << 10

// writable reports whether a sample has a name, as many label values as label
// names, and texts that are not absurd.
func writable(sample *metric.Sample) bool {
	d := sample.Desc
	if d.Name == "" || len(sample.Values) != len(d.Labels) {
		return false
	}
	size := len(d.Name) + len(d.Family) + len(d.Help) + len(d.Unit)
	for i, v := range sample.Values {
		size += len(v) + len(d.Labels[i])
	}
	return size <= maxText
}

// identify returns the id of the series that has the sample's labels, which
// may be new; -1 when there is none left.
func (e *encoder) identify(s *encoderSource, sample *metric.Sample) int32 {
	e.labels = appendIdentity(e.labels[:0], s.sets[s.set], sample.Desc, sample.Values)
	hash := hashLabels(s.seed, e.labels)
	id, ok := s.byLabels[hash]
	for ; ok && id >= 0; id = s.entries[id].next {
		n := &s.entries[id]
		e.labels2 = appendIdentity(e.labels2[:0], s.sets[n.set], n.desc, n.values)
		if slices.Equal(e.labels, e.labels2) {
			s.restart(int(id), s.startOf(sample))
			return id
		}
	}
	if len(s.entries) >= maxIDs-1 {
		return -1
	}
	return s.addEntry(entry{desc: sample.Desc, start: s.startOf(sample)}, hash)
}
