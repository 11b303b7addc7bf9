package writer

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/config"
)

// within fails the test when f does not return soon.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// hanging makes a pipe that nobody writes to, and a function that lets who
// reads it now go on and puts a file in its place.
func hanging(t *testing.T, text string) (path string, release func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	released := false
	release = func() {
		if released {
			return
		}
		released = true
		pipe, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(path+".new", []byte(text), 0o600)
		os.Rename(path+".new", path)
		io.WriteString(pipe, text)
		// The reader has to have its end open before ours goes.
		time.Sleep(50 * time.Millisecond)
		pipe.Close()
	}
	t.Cleanup(release)
	return path, release
}

// A source of credentials that hangs holds neither a post nor the end of the
// sender, and delivery goes on as soon as the source answers.
func TestHTTPHangingCredentials(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {})
	open := make(chan struct{})
	idp := server(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-open:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"token","token_type":"bearer"}`)
		case <-r.Context().Done():
		}
	})
	password, releasePassword := hanging(t, "secret")
	headers, releaseHeaders := hanging(t, "secret")
	tests := []struct {
		name    string
		c       config.HTTPClientConfig
		release func()
	}{
		{"token server", config.HTTPClientConfig{OAuth2: &config.OAuth2{ClientID: "id", ClientSecret: "x", TokenURL: idp.URL}}, func() { close(open) }},
		{"password file", config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "u", PasswordFile: password}}, releasePassword},
		{"header file", config.HTTPClientConfig{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-Key": {Files: []string{headers}}}}}, releaseHeaders},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testClient(t, Receiver{URL: s.URL, Timeout: 100 * time.Millisecond, HTTP: tt.c})
			body := []byte("body")
			post := func(ctx context.Context) (a answer) {
				within(t, "post", func() { a = c.post(ctx, protocol1, body, 0) })
				body[0]++ // the sender uses the memory again
				return a
			}
			a := post(t.Context())
			if a.verdict != tryAgain || a.unknown || !strings.Contains(a.String(), "credentials") {
				t.Errorf("post = %v (%+v), want to try again and what hangs", a, a)
			}
			before := runtime.NumGoroutine()
			for range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if a := post(ctx); a.verdict != tryAgain {
					t.Errorf("post with a cancelled context = %+v", a)
				}
			}
			if n := runtime.NumGoroutine(); n > before+5 {
				t.Errorf("%d goroutines after 20 posts more, %d before", n, before)
			}
			tt.release()
			deadline := time.Now().Add(10 * time.Second)
			for a = post(t.Context()); a.verdict != accepted; a = post(t.Context()) {
				if time.Now().After(deadline) {
					t.Fatalf("post after the release = %v", a)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

// A certificate file may hang, too.
func TestHTTPHangingCertificate(t *testing.T) {
	file, _ := hanging(t, "no certificate")
	c := testClient(t, Receiver{URL: "https://127.0.0.1:1/", Timeout: 50 * time.Millisecond, HTTP: config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: file}}})
	for range 2 * reconnectAfter {
		within(t, "post", func() {
			if a := c.post(t.Context(), protocol1, nil, 0); a.verdict != tryAgain || a.unknown {
				t.Errorf("post = %+v, want to try again", a)
			}
		})
	}
	c.close() // while the call is still out
}

// A request that was given up reads nothing of the sender's memory: the race
// detector watches.
func TestHTTPBodyIsReturned(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {})
	slow := make(chan struct{})
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1<<10)
		for {
			select {
			case <-slow:
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := r.Body.Read(buf); err != nil {
				return
			}
		}
	})
	body := make([]byte, 32<<20)
	c := testClient(t, Receiver{URL: s.URL, Timeout: 30 * time.Millisecond})
	for range 5 {
		if a := c.post(t.Context(), protocol1, body, 0); a.verdict != tryAgain || !a.unknown {
			t.Errorf("post = %+v, want to try again, and not to know", a)
		}
		clear(body)
	}
	close(slow)
}

func BenchmarkPost(b *testing.B) {
	s := server(b, func(w http.ResponseWriter, r *http.Request) {})
	c := testClient(b, Receiver{URL: s.URL})
	body := bytes.Repeat([]byte("x"), 50<<10)
	for b.Loop() {
		if a := c.post(b.Context(), protocol1, body, 0); a.verdict != accepted {
			b.Fatal(a)
		}
	}
}

// A redirect sends the whole body again.
func TestHTTPPayload(t *testing.T) {
	p := &payload{bytes: []byte("payload")}
	for range 2 {
		r, _ := p.open()
		if got, err := io.ReadAll(r); string(got) != "payload" || err != nil {
			t.Errorf("read = %q, %v", got, err)
		}
	}
	r, _ := p.open()
	r.Read(make([]byte, 3))
	p.cut()
	if n, err := r.Read(make([]byte, 3)); n != 0 || err != errCut {
		t.Errorf("read after the cut = %d, %v", n, err)
	}
}
