package writer

import (
	"time"

	"nodepush/metric"
)

// receiverLabel is on everything that is counted for each receiver.
var receiverLabel = []string{"receiver"}

// The families of a receiver.
var (
	descSent = &metric.Desc{Name: "nodepush_sent_samples_total", Type: metric.Counter, Labels: receiverLabel,
		Help: "Samples that the receiver accepted."}
	descDuplicates = &metric.Desc{Name: "nodepush_maybe_duplicate_samples_total", Type: metric.Counter, Labels: receiverLabel,
		Help: "Samples that the receiver refused when they were sent again because the first answer was lost; most likely it has them."}
	descDropped = &metric.Desc{Name: "nodepush_dropped_samples_total", Type: metric.Counter, Labels: []string{"receiver", "reason"},
		Help: "Samples that will never reach the receiver, by reason."}
	descRequests = &metric.Desc{Name: "nodepush_requests_total", Type: metric.Counter, Labels: []string{"receiver", "code"},
		Help: "Requests to the receiver by status of the answer; error: there was none."}
	descRetries = &metric.Desc{Name: "nodepush_request_retries_total", Type: metric.Counter, Labels: receiverLabel,
		Help: "Requests that were sent before."}
	descBytes = &metric.Desc{Name: "nodepush_sent_bytes_total", Type: metric.Counter, Unit: "bytes", Labels: receiverLabel,
		Help: "Compressed bodies of all requests, repetitions included."}
	descDurationSum = &metric.Desc{Name: "nodepush_request_duration_seconds_sum", Family: "nodepush_request_duration_seconds",
		Type: metric.Summary, Unit: "seconds", Labels: receiverLabel, Help: "Time from the beginning of a request to the end of its answer."}
	descDurationCount = &metric.Desc{Name: "nodepush_request_duration_seconds_count", Family: "nodepush_request_duration_seconds",
		Type: metric.Summary, Unit: "seconds", Labels: receiverLabel, Help: descDurationSum.Help}
	descHeld = &metric.Desc{Name: "nodepush_receiver_held", Type: metric.Gauge, Labels: receiverLabel,
		Help: "1 while nothing is sent but probes, because what answers is no receiver or does not accept our credentials."}
	descNewest = &metric.Desc{Name: "nodepush_last_sent_timestamp_seconds", Type: metric.Gauge, Unit: "seconds", Labels: receiverLabel,
		Help: "Time of the newest sample that the receiver accepted since the start; 0: none."}
	descAge = &metric.Desc{Name: "nodepush_last_sent_age_seconds", Type: metric.Gauge, Unit: "seconds", Labels: receiverLabel,
		Help: "Age of the newest sample that the receiver accepted; since the start, if there is none."}
	descBacklog = &metric.Desc{Name: "nodepush_backlog_frames", Type: metric.Gauge, Labels: receiverLabel,
		Help: "Entries of the log that the receiver does not have yet, nearly all of them a collection."}
	descBacklogAge = &metric.Desc{Name: "nodepush_backlog_seconds", Type: metric.Gauge, Unit: "seconds", Labels: receiverLabel,
		Help: "Age of the oldest collection that the receiver does not have yet."}
)

// Descs returns the families of Collect.
func (w *Writer) Descs() []*metric.Desc {
	return append([]*metric.Desc{
		descSent, descDuplicates, descDropped, descRequests, descRetries, descBytes, descDurationSum, descDurationCount,
		descHeld, descNewest, descAge, descBacklog, descBacklogAge,
	}, logDescs...)
}

// Collect adds the writer's own samples to dst. It may be called at any time
// and allocates nothing once dst has grown.
func (w *Writer) Collect(now time.Time, dst *metric.Buffer) {
	dst.Start = w.opened.UnixMilli()
	end := w.log.End()
	for _, s := range w.senders {
		s.stats.collect(now, end, dst)
	}
	w.collectLog(dst)
}

// collect adds one receiver's samples. end is the end of the log.
func (s *stats) collect(now time.Time, end uint64, dst *metric.Buffer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.receiver
	dst.Add(descSent, float64(s.sent), r)
	dst.Add(descDuplicates, float64(s.duplicates), r)
	for why, n := range s.dropped {
		dst.Add(descDropped, float64(n), r, dropNames[why])
	}
	for _, c := range s.requests {
		dst.Add(descRequests, float64(c.n), r, c.label)
	}
	dst.Add(descRetries, float64(s.retries), r)
	dst.Add(descBytes, float64(s.bytes), r)
	dst.Add(descDurationSum, s.duration.Seconds(), r)
	dst.Add(descDurationCount, float64(s.attempts), r)
	dst.Add(descHeld, float64(s.held), r)
	newest, age := s.newestLocked(now)
	dst.Add(descNewest, newest, r)
	dst.Add(descAge, age.Seconds(), r)
	dst.Add(descBacklog, float64(s.waitingLocked(end)), r)
	dst.Add(descBacklogAge, s.ageLocked(now).Seconds(), r)
}

// newestLocked returns the time of the newest accepted sample in seconds and
// its age.
func (s *stats) newestLocked(now time.Time) (seconds float64, age time.Duration) {
	if s.newest == 0 {
		return 0, max(0, now.Sub(s.started))
	}
	return float64(s.newest) / 1000, max(0, now.Sub(time.UnixMilli(s.newest)))
}
