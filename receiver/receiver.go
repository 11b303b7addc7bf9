// Package receiver is a remote-write receiver (protocols 1.0 and 2.0) that
// keeps what it is sent in memory: the far end of `nodepush demo` and the sink
// of tests.
//
//	POST /api/v1/write ─▶ headers ─▶ snappy ─┬▶ WriteRequest (1.0) ─▶ rules ─┬▶ store ─▶ 204
//	                         │          │    └▶ Request (2.0)      ─▶ rules ─┘    │
//	                         └──────────┴────────── 4xx with a reason ────────────┘
//
// It is stricter than most real receivers on purpose: whatever the
// specifications forbid a sender to send is refused with a text that says what
// was wrong, and leaves nothing behind. Samples that do not fit those already
// stored are refused as Prometheus does it: in 1.0 the whole request with
// them, in 2.0 they alone, while the rest is stored and counted in the answer.
//
// https://prometheus.io/docs/specs/prw/remote_write_spec/
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
package receiver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Path is the only path that is served.
const Path = "/api/v1/write"

// maxBody bounds a request, compressed and decoded, as Prometheus does.
const maxBody = 32 << 20

// decoders bounds the requests that are decoded at the same time, and with
// them the memory that requests in flight can hold.
const decoders = 2

// Options are the ways in which receivers differ. The zero value takes
// samples in any order and keeps only the newest of each series.
type Options struct {
	// KeepBytes is how much memory may go to samples older than a series'
	// newest; 0 keeps none. A request that does not fit is answered with 507,
	// so that a test that sized it too small cannot miss samples in silence.
	KeepBytes int64
	// MaxSeries bounds the number of series; a request that would go past it
	// is answered with 507. 0: 1,000,000.
	MaxSeries int
	// Strict refuses samples as a Prometheus without an out-of-order window
	// does: older than the series' newest, another value at its time, more
	// than an hour behind the newest of all, or more than 10 minutes ahead.
	Strict bool
	// Only1 makes it a receiver of protocol 1.0, which answers 415 to a 2.0
	// message.
	Only1 bool
	// Ignorant makes it a receiver of protocol 1.0 that does not look at
	// Content-Type and version, as VictoriaMetrics: a 2.0 message decodes to
	// an empty one of 1.0 and is answered 204, with nothing stored.
	Ignorant bool
	// Answer, when set, sees each request after its body was read. A status
	// other than 0 is answered as it is and nothing is stored. It is called
	// from many goroutines.
	Answer func(*http.Request) int
}

// Receiver is an http.Handler; all methods may be called concurrently.
type Receiver struct {
	options Options
	slots   chan struct{} // taken while a request is decoded

	mu    sync.Mutex
	store store
	stats Stats
}

// Stats counts what arrived since the start.
type Stats struct {
	Requests, Refused                            uint64 // Refused ones are among Requests and in none of the rest, but for what a partial write stored
	Requests2                                    uint64 // of Requests, those that carried a 2.0 message by their Content-Type, whatever became of it
	Samples, Histograms, StaleMarkers, Exemplars uint64
	Metadata                                     uint64 // descriptions of metric families, which 1.0 sends by themselves
	Series                                       int    // live now: seen and not marked stale
	WireBytes, DecodedBytes                      uint64
	First, Last                                  time.Time // arrival of the first and the newest accepted request
	LastRefusal                                  string    // text of the newest refusal
}

// New returns an empty receiver.
func New(o Options) *Receiver {
	o.MaxSeries = cmp.Or(o.MaxSeries, 1_000_000)
	return &Receiver{options: o, slots: make(chan struct{}, decoders), store: newStore(o)}
}

// refusal is an answer other than 2xx.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

// maxText bounds the text of a refusal, which may show what was sent.
const maxText = 2048

func refuse(code int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return &refusal{code, text}
}

// ServeHTTP takes one remote-write request.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p, err := r.negotiate(req)
	var stored written
	if err == nil {
		stored, err = r.take(w, req, p)
	}
	if p == protocol2 {
		stored.tell(w.Header())
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	code := http.StatusInternalServerError
	if answer, ok := errors.AsType[*refusal](err); ok {
		code = answer.code
	}
	r.mu.Lock()
	r.countLocked(req)
	if code >= 300 {
		r.stats.Refused++
		r.stats.LastRefusal = err.Error()
	}
	r.mu.Unlock()
	if code == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	http.Error(w, err.Error(), code)
}

// message is a body after decoding and every check that needs no store.
type message interface {
	// write stores the message. With an error it has stored what it says it
	// has written, which in 1.0 is nothing.
	write(*store, time.Time) (written, error)
}

// take decodes and stores a request.
func (r *Receiver) take(w http.ResponseWriter, req *http.Request, p protocol) (written, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-req.Context().Done():
		return written{}, req.Context().Err()
	}
	body, err := readBody(w, req)
	if err != nil {
		return written{}, err
	}
	if r.options.Answer != nil {
		if code := r.options.Answer(req); code != 0 {
			return written{}, refuse(code, "answer %d was asked for", code)
		}
	}
	m, decoded, err := decode(body, p)
	if err != nil {
		return written{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	stored, err := m.write(&r.store, time.Now())
	if err == nil {
		r.countLocked(req)
		r.countAcceptedLocked(len(body), decoded)
	}
	return stored, err
}

// countLocked counts a request, accepted or not.
func (r *Receiver) countLocked(req *http.Request) {
	r.stats.Requests++
	if req.Header.Get("Content-Type") == contentType2 {
		r.stats.Requests2++
	}
}

// countAcceptedLocked counts an accepted request. The store has counted the
// samples.
func (r *Receiver) countAcceptedLocked(wire, decoded int) {
	s, now := &r.stats, time.Now()
	s.WireBytes += uint64(wire)
	s.DecodedBytes += uint64(decoded)
	if s.First.IsZero() {
		s.First = now
	}
	s.Last = now
}

// readBody reads at most maxBody bytes.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body is longer than %d bytes", tooBig.Limit)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "read body: %v", err)
	}
	return body, nil
}
