package writer

import (
	"context"
	"time"

	"nodepush/metric"
)

// Samples wait at most so long for metadata: for a request that hangs, and for
// requests that are answered. What is left then goes after the next batch.
const (
	metadataWait = 3 * time.Second
	metadataTime = time.Second
)

// describe sends the metadata of all series to a receiver of 1.0 when that is
// due, after samples were delivered. 2.0 has metadata in every series. What
// fails is not sent again before its time: metadata is not in the log, and
// says the same the next time.
func (s *sender) describe(ctx context.Context) {
	if !s.Metadata.Send || s.protocol.current != protocol1 {
		return
	}
	now := s.clock.now()
	if len(s.undescribed) == 0 && (s.described.IsZero() || now.Sub(s.described) >= s.Metadata.Interval) {
		s.described, s.undescribed = now, s.request.families()
	}
	ctx, cancel := context.WithTimeout(ctx, metadataWait)
	defer cancel()
	for begin := time.Now(); len(s.undescribed) > 0 && !s.stopping() && time.Since(begin) < metadataTime; {
		n := min(len(s.undescribed), s.Metadata.MaxSamples)
		s.request.encodeMetadata(s.undescribed[:n])
		a := s.client.post(ctx, protocol1, s.request.body, 0)
		s.stats.request(a, len(s.request.body), 0)
		s.undescribed = s.undescribed[n:]
		if a.verdict != accepted {
			s.report.metadata(a)
			s.undescribed = nil
		}
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
