package writer

import (
	"log/slog"
	"strings"
	"time"
)

// summaryEvery is how often a lasting condition is mentioned in the log.
const summaryEvery = time.Minute

// reporter writes one receiver's log: a failure when it begins, now and then
// while it lasts, and when it is over. It is used by one goroutine.
type reporter struct {
	log *slog.Logger
	now func() time.Time

	since    time.Time // of the outage; zero: none
	failures int       // since the last line
	nextLine time.Time // of the outage

	lost        int       // samples that answered requests did not bring, since the last line
	refusal     answer    // of the last of them
	nextRefused time.Time // line
	nextSmaller time.Time // line
	nextCursor  time.Time // line
	nextMeta    time.Time // line
	delivered   bool      // something, since the start
}

// failed notes an attempt that delivered nothing; wait is the time until the next.
func (r *reporter) failed(a answer, wait time.Duration) {
	now := r.now()
	first := r.since.IsZero()
	if first {
		r.since = now
	}
	r.failures++
	if !first && now.Before(r.nextLine) {
		return
	}
	args := []any{"err", a.String(), "attempts", r.failures}
	if a.text != "" {
		args = append(args, "answer", oneLine(a.text))
	}
	switch {
	case a.verdict == noReceiver && wait == 0:
		args = append(args, "action", "dropped")
	case a.verdict == noReceiver:
		args = append(args, "action", "held; nothing is lost while the log has room", "probe_in", wait.Round(time.Second))
	default:
		args = append(args, "retry_in", wait.Round(time.Millisecond))
	}
	if !first {
		args = append(args, "for", now.Sub(r.since).Round(time.Second))
	}
	r.log.Warn("cannot deliver", args...)
	r.failures, r.nextLine = 0, now.Add(summaryEvery)
}

// recovered notes the end of an outage and returns how long it was; 0: there
// was none. waiting is how many frames of the log are to be delivered yet.
func (r *reporter) recovered(waiting uint64) time.Duration {
	if r.since.IsZero() {
		return 0
	}
	outage := r.now().Sub(r.since)
	r.since, r.failures = time.Time{}, 0
	r.log.Info("delivered again", "after", outage.Round(time.Millisecond), "frames_waiting", waiting)
	return outage
}

// refused notes samples that the receiver answered for but does not have.
func (r *reporter) refused(a answer, samples int) {
	if samples == 0 {
		return
	}
	r.lost += samples
	r.refusal = a
	if !r.now().Before(r.nextRefused) {
		r.refusals()
	}
}

// refusals logs the samples that were refused since the last line about them.
func (r *reporter) refusals() {
	if r.lost == 0 {
		return
	}
	what := "samples are lost: the receiver rejects them"
	if r.refusal.verdict == accepted {
		what = "samples are lost: the receiver accepted them but counts them as not written"
	}
	args := []any{"samples", r.lost, "err", r.refusal.String(), "answer", oneLine(r.refusal.text)}
	if !r.delivered {
		args = append(args, "hint", "it has accepted nothing since the start: is the url right?")
	}
	r.log.Warn(what, args...)
	r.lost, r.nextRefused = 0, r.now().Add(summaryEvery)
}

// accepted notes that the receiver took something: the first time is news for
// whoever set this up, and what it refused before is due for a line.
func (r *reporter) accepted(p *protocol) {
	if !r.delivered {
		r.delivered = true
		r.log.Info("delivering", "remote_write", p.name)
	}
	if !r.now().Before(r.nextRefused) {
		r.refusals()
	}
}

// fellBack notes that the receiver does not understand 2.0.
func (r *reporter) fellBack(a answer) {
	r.log.Info("receiver does not understand remote write 2.0; the same samples go as 1.0", "reason", a.String(), "next_try", probeAfter)
}

// metadata notes that metadata could not be sent. It is sent again anyway.
func (r *reporter) metadata(a answer) {
	if now := r.now(); !now.Before(r.nextMeta) {
		r.log.Warn("cannot send metadata", "err", a.String(), "answer", oneLine(a.text))
		r.nextMeta = now.Add(10 * summaryEvery)
	}
}

// smaller notes that a request was too large for the receiver.
func (r *reporter) smaller(samples, bytes int) {
	if now := r.now(); !now.Before(r.nextSmaller) {
		r.log.Warn("request is too large for the receiver; sending smaller ones", "samples", samples, "bytes", bytes)
		r.nextSmaller = now.Add(summaryEvery)
	}
}

// culprits names the series that are left out from now on. There is at most
// one search a minute, so every one gets its line.
func (r *reporter) culprits(names []string) {
	if len(names) == 0 {
		return
	}
	shown := names[:min(len(names), namedCulprits)]
	r.log.Warn("receiver rejects these series; leaving them out for a while so that the others arrive",
		"series", strings.Join(shown, " "), "count", len(names), "for", leaveCulprits)
}

// cursor notes that the position could not be saved.
func (r *reporter) cursor(err error) {
	if now := r.now(); !now.Before(r.nextCursor) {
		r.log.Warn("cannot save position; samples may be sent twice after a restart", "err", err)
		r.nextCursor = now.Add(summaryEvery)
	}
}

// oneLine makes a body fit for a line of the log.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
