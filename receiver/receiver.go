// Package receiver is a remote-write receiver (protocol 1.0) that keeps what
// it is sent in memory: the far end of `nodepush demo` and the sink of tests.
//
//	POST /api/v1/write ─▶ headers ─▶ snappy ─▶ WriteRequest ─▶ labels ─▶ store ─▶ 204
//	                         │          │           │             │        │
//	                         └──────────┴───── 4xx with a reason ─┴────────┘
//
// It is stricter than most real receivers on purpose: whatever the
// specification forbids a sender to send is refused with a text that says
// what was wrong. A refused request leaves nothing behind, as in Prometheus.
//
// https://prometheus.io/docs/specs/prw/remote_write_spec/
package receiver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	Requests, Refused                            uint64 // Refused ones are among Requests and in none of the rest
	Samples, Histograms, StaleMarkers, Exemplars uint64
	Metadata                                     uint64
	Series                                       int // live now: seen and not marked stale
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

func refuse(code int, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// ServeHTTP takes one remote-write request.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	err := r.take(w, req)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	code := http.StatusInternalServerError
	if answer, ok := errors.AsType[*refusal](err); ok {
		code = answer.code
	}
	r.mu.Lock()
	r.stats.Requests++
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

// take checks, decodes and stores a request; all of it or nothing.
func (r *Receiver) take(w http.ResponseWriter, req *http.Request) error {
	if req.URL.Path != Path {
		return refuse(http.StatusNotFound, "no such path %q; remote write is at %s", req.URL.Path, Path)
	}
	if err := checkHeaders(req); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-req.Context().Done():
		return req.Context().Err()
	}
	body, err := readBody(w, req)
	if err != nil {
		return err
	}
	if r.options.Answer != nil {
		if code := r.options.Answer(req); code != 0 {
			return refuse(code, "answer %d was asked for", code)
		}
	}
	message, decoded, err := decode(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.store.write(message, time.Now()); err != nil {
		return err
	}
	r.countLocked(len(body), decoded)
	return nil
}

// countLocked counts an accepted request. The store has counted the samples.
func (r *Receiver) countLocked(wire, decoded int) {
	s, now := &r.stats, time.Now()
	s.Requests++
	s.WireBytes += uint64(wire)
	s.DecodedBytes += uint64(decoded)
	if s.First.IsZero() {
		s.First = now
	}
	s.Last = now
}

// checkHeaders refuses what a 1.0 sender must not send.
func checkHeaders(req *http.Request) error {
	h := req.Header
	if req.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "method %s; only POST is allowed", req.Method)
	}
	if v := h.Get("Content-Encoding"); v != "snappy" {
		return refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q; only snappy is allowed", v)
	}
	switch v := h.Get("Content-Type"); v {
	case "application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest":
	default:
		return refuse(http.StatusUnsupportedMediaType, "Content-Type %q; only application/x-protobuf and application/x-protobuf;proto=prometheus.WriteRequest are allowed", v)
	}
	if v := h.Get("X-Prometheus-Remote-Write-Version"); v != "0.1.0" {
		return refuse(http.StatusBadRequest, "X-Prometheus-Remote-Write-Version %q; only 0.1.0 is allowed", v)
	}
	if h.Get("User-Agent") == "" {
		return refuse(http.StatusBadRequest, "no User-Agent; a sender must name itself")
	}
	return nil
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
