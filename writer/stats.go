package writer

import (
	"strconv"
	"sync"
	"time"
)

// dropReason says why samples will never reach a receiver.
type dropReason uint8

const (
	dropRejected dropReason = iota
	dropNotWritten
	dropTooLarge
	dropTooOld
	dropFuture
	dropEndpoint
	dropRelabel
	dropDamaged
	dropWALFull
	dropMaxAge
	dropMemory
	dropReasons // how many there are
)

// dropNames are the values of label reason.
var dropNames = [dropReasons]string{
	"rejected", "not_written", "too_large", "too_old", "future", "endpoint", "relabel", "damaged", "wal_full", "max_age", "memory",
}

// stats counts what happens at one receiver. Its methods are safe for
// concurrent use.
type stats struct {
	receiver string
	started  time.Time

	mu         sync.Mutex
	sent       uint64 // samples accepted
	duplicates uint64 // samples refused that may have been accepted before
	dropped    [dropReasons]uint64
	bytes      uint64 // of bodies, every attempt
	retries    uint64
	requests   []requestCount // by code, in the order of their first appearance
	attempts   uint64
	duration   time.Duration // of all attempts
	held       int           // 1: the receiver is held
	newest     int64         // time of the newest sample accepted, ms; 0: none yet
	from, read uint64        // what is from here to there is in the sender's hands or delivered
	pending    int           // collections in the sender's hands
	oldest     int64         // time of the first of them, ms; 0: there is none, or it is not known yet
}

// requestCount is how many requests ended with a code.
type requestCount struct {
	code  int
	label string
	n     uint64
}

func (s *stats) drop(why dropReason, samples int) {
	s.mu.Lock()
	s.dropped[why] += uint64(samples)
	s.mu.Unlock()
}

func (s *stats) duplicate(samples int) {
	s.mu.Lock()
	s.duplicates += uint64(samples)
	s.mu.Unlock()
}

// accept counts the samples of a request that the receiver took.
func (s *stats) accept(t tally, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += uint64(samples)
	if samples > 0 || t.samples == 0 {
		s.newest = max(s.newest, t.newest)
	}
}

// request counts an attempt. attempt is how often the request was sent before.
func (s *stats) request(a answer, bytes, attempt int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	s.bytes += uint64(bytes)
	s.duration += a.took
	if attempt > 0 {
		s.retries++
	}
	for i := range s.requests {
		if s.requests[i].code == a.code {
			s.requests[i].n++
			return
		}
	}
	s.requests = append(s.requests, requestCount{a.code, a.label(), 1})
}

func (s *stats) hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = 0
	if held {
		s.held = 1
	}
}

// begin notes that the sender reads from seq on, with empty hands.
func (s *stats) begin(seq uint64) {
	s.mu.Lock()
	s.from, s.read, s.pending, s.oldest = seq, seq, 0, 0
	s.mu.Unlock()
}

// readTo notes that everything before seq is in the sender's hands, so that
// the log may forget it without a loss. Until queued tells what became of it,
// it waits.
func (s *stats) readTo(seq uint64) {
	s.mu.Lock()
	s.read = max(s.read, seq)
	s.pending++
	s.mu.Unlock()
}

// queued notes what waits in the sender's hands.
func (s *stats) queued(collections int, oldest int64) {
	s.mu.Lock()
	s.pending, s.oldest = collections, oldest
	s.mu.Unlock()
}

// inHand reports whether the log may forget a frame without a loss.
func (s *stats) inHand(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seq >= s.from && seq < s.read
}

// waiting returns the frames that are not delivered. end is that of the log.
func (s *stats) waiting(end uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waitingLocked(end)
}

func (s *stats) waitingLocked(end uint64) (frames uint64) {
	if end > s.read {
		frames = end - s.read
	}
	return frames + uint64(s.pending)
}

// ageLocked returns how old the first collection in the sender's hands is.
func (s *stats) ageLocked(now time.Time) time.Duration {
	if s.oldest == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMilli(s.oldest)))
}

// backlog returns what is not delivered. end is that of the log.
func (s *stats) backlog(end uint64) Backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := Backlog{Receiver: s.receiver, Frames: s.waitingLocked(end)}
	if s.oldest != 0 {
		b.Oldest = time.UnixMilli(s.oldest)
	}
	return b
}

// label is the value of label code.
func (a answer) label() string {
	if a.code == 0 {
		return "error"
	}
	return strconv.Itoa(a.code)
}
