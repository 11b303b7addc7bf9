package agent

import (
	"time"

	"nodepush/metric"
)

// backlog returns what waits in the log for each receiver, as log attributes.
func backlog(w pipe) (attrs []any) {
	var b metric.Buffer
	w.Collect(time.Now(), &b)
	for _, s := range b.Samples() {
		if s.Desc.Name == "nodepush_backlog_frames" && len(s.Values) > 0 {
			attrs = append(attrs, s.Values[0], s.Value)
		}
	}
	return attrs
}
