package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"time"
)

// abandonAfter is how long a call whose context ended may take to notice. A
// call that waits for the receiver notices at once. One that reads a file on
// a dead mount, or fetches a token, never does: the libraries give the context
// to neither.
const abandonAfter = 250 * time.Millisecond

// errHanging is the answer while an abandoned call has not returned.
var errHanging = errors.New("an earlier request still waits for its credentials, token or certificate")

// call is a request under way in a goroutine of its own, so that nothing can
// hold the sender. Unless it is abandoned it is over when roundTrip returns.
type call struct {
	http     *http.Client // nil: to be made
	protocol *protocol
	body     *payload
	attempt  int
	sent     sent
	done     chan outcome // holds one, so that nobody needs to wait for it
}

// outcome is what a call came to.
type outcome struct {
	answer answer
	err    error
	http   *http.Client // for the next call; nil: none could be made
}

// roundTrip sends one request and returns until ctx ends, or soon after. Its
// answer says even with an error whether the receiver may have taken the
// request. It has the memory of body to itself until it returns.
func (c *client) roundTrip(ctx context.Context, p *protocol, body []byte, attempt int) (answer, error) {
	if !c.collect() {
		return answer{err: errHanging}, errHanging
	}
	l := &call{http: c.http, protocol: p, body: &payload{bytes: body}, attempt: attempt, done: make(chan outcome, 1)}
	defer l.body.cut()
	go func() { l.done <- c.do(ctx, l) }()
	o, ok := l.wait(ctx)
	if !ok {
		c.late, c.http = l, nil
		c.conns.cut()
		return c.hanging(l)
	}
	c.http = o.http
	if o.err == nil && o.answer.text == "" {
		return o.answer, nil
	}
	all := append(l.sent.secrets(), c.secrets...)
	if o.err != nil {
		o.answer.err = c.readable(o.err, all)
	}
	o.answer.text = all.hide(o.answer.text)
	return o.answer, o.err
}

// wait waits for the outcome, which is preferred to the end of ctx. It
// reports false when the call hangs.
func (l *call) wait(ctx context.Context) (outcome, bool) {
	select {
	case o := <-l.done:
		return o, true
	case <-ctx.Done():
	}
	patience := time.NewTimer(abandonAfter)
	defer patience.Stop()
	select {
	case o := <-l.done:
		return o, true
	case <-patience.C:
		return outcome{}, false
	}
}

// hanging is the answer of a call that was abandoned.
func (c *client) hanging(l *call) (answer, error) {
	err := fmt.Errorf("no answer within %v: credentials, token or certificate not available in time", c.timeout)
	return answer{err: err, unknown: l.sent.begun()}, err
}

// collect reports whether no abandoned call is out. One that has returned
// leaves its client, which may hold the token that came too late.
func (c *client) collect() bool {
	if c.late == nil {
		return true
	}
	select {
	case o := <-c.late.done:
		c.http, c.late = o.http, nil
		c.conns.mend()
		return true
	default:
		return false
	}
}

// do sends the request and reads the answer. It runs in the call's goroutine
// and changes nothing of the client.
func (c *client) do(ctx context.Context, l *call) outcome {
	made, err := c.connected(l.http)
	if err != nil {
		return outcome{err: err}
	}
	req, err := c.request(ctx, l)
	if err != nil {
		return outcome{err: err, http: made}
	}
	resp, err := made.Do(req)
	if err != nil {
		return outcome{answer: answer{unknown: l.sent.begun()}, err: err, http: made}
	}
	defer resp.Body.Close()
	a := readAnswer(resp, time.Now())
	a.unknown = a.verdict == tryAgain
	return outcome{answer: a, http: made}
}

// request returns the request of a call.
func (c *client) request(ctx context.Context, l *call) (*http.Request, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: l.sent.connection, WroteHeaderField: l.sent.header})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, nil)
	if err != nil {
		return nil, err
	}
	req.ContentLength, req.GetBody = int64(len(l.body.bytes)), l.body.open
	req.Body, _ = l.body.open()
	req.Header = c.header.Clone()
	req.Header.Set("Content-Type", l.protocol.contentType)
	req.Header.Set("X-Prometheus-Remote-Write-Version", l.protocol.version)
	if l.attempt > 0 {
		req.Header.Set("Retry-Attempt", strconv.Itoa(l.attempt))
	}
	return req, nil
}

// errCut is what the transport reads of a body after its request is over.
var errCut = errors.New("the request was given up")

// payload lends the sender's memory to the transport, which may read it
// after a request has ended.
type payload struct {
	mu    sync.Mutex
	bytes []byte // nil: taken back
}

// cut takes the memory back.
func (p *payload) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = nil
}

// open returns a reader of the whole; a redirect needs another one.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.bytes) == 0 {
		return http.NoBody, nil
	}
	return io.NopCloser(&payloadReader{payload: p, size: len(p.bytes)}), nil
}

type payloadReader struct {
	payload  *payload
	at, size int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	if r.at == r.size {
		return 0, io.EOF
	}
	r.payload.mu.Lock()
	defer r.payload.mu.Unlock()
	if r.payload.bytes == nil {
		return 0, errCut
	}
	n := copy(b, r.payload.bytes[r.at:])
	r.at += n
	return n, nil
}
