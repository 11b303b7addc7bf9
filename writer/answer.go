package writer

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// verdict is what an answer means for the request.
type verdict uint8

const (
	accepted    verdict = iota // the receiver took it
	rejected                   // the receiver refuses this data for ever
	tooLarge                   // the receiver would take a part of it
	tryAgain                   // nobody's fault, or the network's
	noReceiver                 // what answered is no receiver for us: wrong address, wrong or expired credentials, a portal
	unsupported                // the receiver does not know the message
)

// answer is how a request ended.
type answer struct {
	verdict    verdict
	code       int    // HTTP status; 0: no answer
	err        error  // why there is no answer; without secrets
	text       string // the beginning of the body
	note       string // what is strange about a status that says little by itself
	counts     counts
	retryAfter time.Duration // what the receiver asked for; 0: nothing
	unknown    bool          // the receiver may have taken the request all the same
	took       time.Duration
}

// counts is what the receiver counted as stored, of samples and histograms
// together. Only answers to messages of 2.0 state it.
type counts struct {
	stated  bool
	written uint64
}

// readCounts reads the headers of a 2.0 answer. One of the three is enough to
// show that the receiver knows the message, and what it does not state is 0
// (specification 2.0, "Required Written Response Headers"). Counts that cannot
// be read count for nothing.
func readCounts(h http.Header) (c counts) {
	for _, kind := range []string{"Samples", "Histograms", "Exemplars"} {
		text := h.Get("X-Prometheus-Remote-Write-" + kind + "-Written")
		n, err := strconv.ParseUint(text, 10, 62) // two make no more than 63 bits
		switch {
		case text == "":
		case err != nil:
			return counts{}
		default:
			c.stated = true
			if kind != "Exemplars" {
				c.written += n
			}
		}
	}
	return c
}

// String says what happened in a line of the log.
func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	s := "the receiver answered " + strconv.Itoa(a.code) + " " + http.StatusText(a.code)
	if a.note != "" {
		s += " " + a.note
	}
	return s
}

// judge gives the meaning of a status. The specification forbids to retry a
// 4xx, with wrong data in mind. Expired credentials or a moved address are not
// wrong data, so everything that says nothing of the data holds the receiver:
// a whole backlog must not be thrown at a login page. That includes a 3xx that
// may not be followed, and numbers that HTTP does not know.
func judge(status int) verdict {
	switch {
	case status >= 200 && status < 300:
		return accepted
	case status == http.StatusBadRequest, status == http.StatusConflict, status == http.StatusUnprocessableEntity:
		return rejected
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge
	case status == http.StatusUnsupportedMediaType:
		return unsupported
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500 && status < 600:
		return tryAgain
	}
	return noReceiver
}

// How much of a body is kept for the log, and how much is read so that the
// connection can be used again.
const (
	keptBody = 1 << 10
	readBody = 64 << 10
)

// readAnswer turns a response into an answer. It reads at most readBody bytes
// and does not fail: a body that breaks off takes nothing from the status.
func readAnswer(resp *http.Response, now time.Time) answer {
	a := answer{verdict: judge(resp.StatusCode), code: resp.StatusCode, counts: readCounts(resp.Header)}
	kept := make([]byte, keptBody)
	n, err := io.ReadFull(resp.Body, kept)
	a.text = readableBody(kept[:n], err == nil)
	if a.verdict == accepted && isPage(resp.Header.Get("Content-Type"), kept[:n], err == io.EOF) {
		a.verdict, a.note = noReceiver, "with an HTML page"
	}
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		a.note = "to " + shown(to)
	}
	if a.verdict == tryAgain {
		a.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), now)
	}
	if err == nil {
		io.CopyN(io.Discard, resp.Body, readBody-keptBody) //nolint:errcheck // the rest is thrown away
	}
	return a
}

// readableBody returns a body for the log; one that is cut may end within a
// character.
func readableBody(body []byte, cut bool) string {
	text := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if cut {
		for range utf8.UTFMax - 1 {
			if r, size := utf8.DecodeLastRune(text); r != utf8.RuneError || size != 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	strange := func(r rune) bool { return !unicode.IsGraphic(r) && !unicode.IsSpace(r) }
	if utf8.Valid(text) && bytes.IndexFunc(text, strange) < 0 {
		return string(text)
	}
	if cut {
		return fmt.Sprintf("(more than %d bytes, not text)", len(body))
	}
	return fmt.Sprintf("(%d bytes, not text)", len(body))
}

// isPage reports whether a body is an HTML page: no receiver sends one with
// success, but captive portals, login pages and catch-all web servers do.
// A type without a body is a framework's default and no page.
func isPage(contentType string, body []byte, empty bool) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
		return !empty
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	body = bytes.TrimLeft(body, " \t\r\n\f")
	return hasPrefixFold(body, "<!doctype html") || hasPrefixFold(body, "<html")
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}

// parseRetryAfter returns how long a Retry-After asks to wait; what is
// neither seconds nor an HTTP date, or is over already, asks for nothing.
// https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
