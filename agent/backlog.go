package agent

import (
	"log/slog"
	"time"

	"nodepush/metric"
)

// backlog returns how many frames wait in the log, for each receiver as
// attributes of a log line, and in all.
func backlog(w pipe) (attrs []any, frames float64) {
	var b metric.Buffer
	w.Collect(time.Now(), &b)
	for _, s := range b.Samples() {
		if s.Desc.Name == "nodepush_backlog_frames" && len(s.Values) > 0 {
			attrs = append(attrs, slog.Float64(s.Values[0], s.Value))
			frames += s.Value
		}
	}
	return attrs, frames
}
