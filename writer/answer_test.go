package writer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestJudgeEveryStatus(t *testing.T) {
	want := func(status int) verdict {
		switch status {
		case 400, 409, 422:
			return rejected
		case 413:
			return tooLarge
		case 415:
			return unsupported
		case 408, 429:
			return tryAgain
		}
		switch status / 100 {
		case 2:
			return accepted
		case 5:
			return tryAgain
		}
		return noReceiver
	}
	for status := range 1000 {
		if got := judge(status); got != want(status) {
			t.Errorf("judge(%d) = %v, want %v", status, got, want(status))
		}
	}
}

func TestAnswerPages(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    verdict
	}{
		{"no content", "", "", 204, accepted},
		{"text", "text/plain", "ok", 200, accepted},
		{"json", "application/json", `{"status":"success"}`, 200, accepted},
		{"html by type", "text/html; charset=utf-8", "welcome", 200, noReceiver},
		{"html by type, capitals", "Text/HTML", "welcome", 202, noReceiver},
		{"a framework's default type without a body", "text/html", "", 200, accepted},
		{"html by doctype", "", "<!DOCTYPE html><title>Log in", 200, noReceiver},
		{"html by tag", "text/plain", "\xef\xbb\xbf\r\n  <HTML>", 200, noReceiver},
		{"html later on", "text/plain", "see <html>", 200, accepted},
		{"a proxy's error page", "text/html", "<html>bad gateway", 502, tryAgain},
		{"rejected with a page", "text/html", "<html>", 400, rejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header()["Content-Type"] = []string{tt.contentType}
			w.WriteHeader(tt.status)
			w.WriteString(tt.body)
			if got := readAnswer(w.Result(), time.Now()); got.verdict != tt.want {
				t.Errorf("verdict of %d %s %q = %v, want %v", tt.status, tt.contentType, tt.body, got.verdict, tt.want)
			}
		})
	}
}

func TestAnswerKeepsTheBeginning(t *testing.T) {
	w := httptest.NewRecorder()
	w.WriteHeader(400)
	w.WriteString(strings.Repeat("x", 5000))
	if got := readAnswer(w.Result(), time.Now()); len(got.text) != keptBody {
		t.Errorf("kept %d bytes of the body, want %d", len(got.text), keptBody)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0}, {"0", 0}, {"17", 17 * time.Second}, {"-5", 0}, {"1.5", 0}, {"soon", 0}, {"99999999999999999999", 0},
		{now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{"Sun, 01 Mar 2026", 0},
	}
	for _, tt := range tests {
		if got := parseRetryAfter(tt.value, now); got != tt.want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", tt.value, got, tt.want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add("17")
	f.Add("Sun, 01 Mar 2026 12:00:00 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		if got := parseRetryAfter(value, time.Unix(1e9, 0)); got < 0 {
			t.Errorf("parseRetryAfter(%q) = %v", value, got)
		}
	})
}

func TestAnswerLine(t *testing.T) {
	for _, tt := range []struct {
		a    answer
		want string
	}{
		{answer{code: 503}, "the receiver answered 503 Service Unavailable"},
		{answer{err: fmt.Errorf("dial tcp: refused")}, "dial tcp: refused"},
	} {
		if got := tt.a.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestReadableBody(t *testing.T) {
	tests := []struct {
		name, body, want string
		cut              bool
	}{
		{"text", "out of order\n\tsample 7 \u00a0é", "out of order\n\tsample 7 \u00a0é", false},
		{"byte order mark", "\xef\xbb\xbftext", "text", false},
		{"empty", "", "", false},
		{"binary", "\x1f\x8b\x08\x00", "(4 bytes, not text)", false},
		{"latin 1", "caf\xe9 noir", "(9 bytes, not text)", false},
		{"latin 1 at the end", "caf\xe9", "(4 bytes, not text)", false},
		{"escape sequences", "\x1b[2J", "(4 bytes, not text)", false},
		{"cut in a character", "caf\xc3", "caf", true},
		{"cut in a long character", "x\xf0\x9f\x98", "x", true},
		{"cut binary", "\x00\x01", "(more than 2 bytes, not text)", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := readableBody([]byte(tt.body), tt.cut); got != tt.want {
				t.Errorf("readableBody(%q) = %q, want %q", tt.body, got, tt.want)
			}
		})
	}
}
