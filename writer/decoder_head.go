package writer

import (
	"slices"

	"nodepush/metric"
)

// Limits on what one segment may say of one source, against payloads that no
// encoder wrote: they are small and name much.
const (
	maxHeadLabels = 4 * headLabels // that the series of one head frame have together
	maxDescs      = 1 << 20
)

// decodeHead adds a part to the dictionary of a source.
func (d *decoder) decodeHead(payload []byte) error {
	h, err := parseHead(payload, &d.pack)
	if err != nil {
		return err
	}
	s := d.sources[h.source]
	if s == nil {
		s = &decoderSource{dict: &dictionary{source: h.name, bootID: h.bootID}, rolled: h.rolled}
	}
	if s.dict.source != h.name || s.dict.bootID != h.bootID {
		return damaged("head frame: number %d is source %q and %q", h.source, s.dict.source, h.name)
	}
	if h.labels() > maxHeadLabels || !s.addDescs(h) {
		return damaged("head frame of source %q", h.name)
	}
	d.sources[h.source] = s
	s.addSeries(h)
	s.addStarts(h)
	return nil
}

// labels returns the most labels that the series of h can have together.
func (h *head) labels() int {
	n := 0
	for _, e := range h.series {
		n += 1 + len(e.values)
		if e.set < len(h.sets) {
			n += len(h.sets[e.set])
		}
	}
	return n
}

// addDescs adds the descriptions of h that are not known yet: heads come twice.
func (s *decoderSource) addDescs(h *head) bool {
	if h.firstDesc+len(h.descs) > maxDescs {
		return false
	}
	s.descs = placed(s.descs, h.firstDesc, h.descs, func(d *metric.Desc) bool { return d == nil })
	return true
}

// placed puts items into list at first, where it has nothing yet.
func placed[T any](list []T, first int, items []T, missing func(T) bool) []T {
	if n := first + len(items); n > len(list) {
		list = append(list, make([]T, n-len(list))...)
	}
	for i, item := range items {
		if missing(list[first+i]) {
			list[first+i] = item
		}
	}
	return list
}

// addSeries adds the series of h that are not known yet.
func (s *decoderSource) addSeries(h *head) {
	d := s.dict
	if h.firstID > len(d.series) {
		d.holes = true
	}
	d.series = placed(d.series, h.firstID, make([]series, len(h.series)), func(series) bool { return false })
	s.prev = s.prev.grown(len(d.series))
	var labels []metric.Label
	for i, e := range h.series {
		id := h.firstID + i
		if d.series[id].desc != nil {
			continue
		}
		if e.set >= len(h.sets) || e.desc >= len(s.descs) || s.descs[e.desc] == nil ||
			len(s.descs[e.desc].Labels) != len(e.values) {
			d.holes = true
			continue
		}
		desc := s.descs[e.desc]
		labels = appendIdentity(labels[:0], h.sets[e.set], desc, e.values)
		d.series[id] = series{labels: slices.Clone(labels), desc: desc, start: e.start}
		if h.before.has(i) {
			s.prev.set(id)
		}
	}
}

// addStarts changes start times in a copy of the dictionary: collections read
// before keep the one they have.
func (s *decoderSource) addStarts(h *head) {
	cloned := false
	for _, change := range h.starts {
		if !s.dict.known(change.id) || s.dict.series[change.id].start == change.start {
			continue
		}
		if !cloned {
			d := *s.dict
			d.series = slices.Clone(d.series)
			s.dict, cloned = &d, true
		}
		s.dict.series[change.id].start = change.start
	}
}
