package writer

import (
	"context"

	"nodepush/metric"
)

// describe sends the metadata of all series to a receiver of 1.0 when that is
// due, after samples were delivered, so that it delays none. 2.0 has metadata
// in every series. What fails is not sent again before its time: metadata is
// not in the log, and says the same the next time.
func (s *sender) describe(ctx context.Context) {
	now := s.clock.now()
	if !s.Metadata.Send || s.protocol.current != protocol1 || s.stopping() ||
		!s.described.IsZero() && now.Sub(s.described) < s.Metadata.Interval {
		return
	}
	s.described = now
	families := s.request.families()
	for len(families) > 0 && ctx.Err() == nil {
		n := min(len(families), s.Metadata.MaxSamples)
		s.request.encodeMetadata(families[:n])
		a := s.client.post(ctx, protocol1, s.request.body, 0)
		s.stats.request(a, len(s.request.body), 0)
		if a.verdict != accepted {
			s.report.metadata(a)
			return
		}
		families = families[n:]
	}
}

// families returns a description of each family that requests have lately
// carried series of.
func (r *request) families() (list []*metric.Desc) {
	seen := make(map[string]bool)
	for _, names := range r.names.known {
		for id := range names.ends {
			d := names.dict.series[id].desc
			if len(names.at(id)) > 0 && !seen[d.FamilyName()] {
				seen[d.FamilyName()] = true
				list = append(list, d)
			}
		}
	}
	return list
}

// encodeMetadata sets the body to a WriteRequest that has nothing but metadata.
// The specification does not have the field, but every receiver knows it.
func (r *request) encodeMetadata(families []*metric.Desc) {
	var m message1
	for _, d := range families {
		m.metadata(d)
	}
	r.body = r.compress(m.bytes())
}
