package agent

import (
	"errors"
	"log/slog"
	"time"
)

// Limits of what one collector may write into the journal.
const (
	summaryEvery = 5 * time.Minute // a failure that goes on is mentioned this often
	maxTexts     = 8               // so many different errors of one trouble are mentioned as they come
)

// trouble logs the failures of one thing, a collector say: each different
// error when it comes first, what goes on every few minutes, and the end. With
// its first two fields set it is ready; it is used by one goroutine.
type trouble struct {
	what     string // collector
	log      *slog.Logger
	seen     map[string]bool // errors that were mentioned
	next     time.Time       // when one that was mentioned may be again
	failures int             // since the last line
	failing  bool            // the last line was about a failure
}

// failed notes that it failed in a round.
func (r *trouble) failed(now time.Time, err error) {
	r.failures++
	text := err.Error()
	news := !r.seen[text] && len(r.seen) < maxTexts
	if !news && now.Before(r.next) {
		return
	}
	args := []any{"err", text, "rounds", r.failures}
	if p, ok := errors.AsType[*panicError](err); ok && news {
		args = append(args, "stack", string(p.stack))
	}
	r.log.Warn(r.what+" failed", args...)
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	if news {
		r.seen[text] = true
	}
	r.next, r.failures, r.failing = now.Add(summaryEvery), 0, true
}

// worked notes that it went well in a round.
func (r *trouble) worked() {
	if r.failing {
		r.log.Info(r.what+" works again", "rounds", r.failures)
		r.failures, r.failing = 0, false
	}
}
