package writer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"
)

// testClient returns a client with the defaults of a configuration.
func testClient(t testing.TB, r Receiver) *client {
	t.Helper()
	c, err := newClient(r.withDefaults(), "1.2.3")
	if err != nil {
		t.Fatalf("newClient: %v", err)
	}
	t.Cleanup(c.close)
	return c
}

// server starts a server whose handler finds the body read, so that it
// notices when the client leaves.
func server(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestPostHeaders(t *testing.T) {
	var got *http.Request
	var sent []byte
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	c := testClient(t, Receiver{URL: s.URL + "/push?a=b", Headers: map[string]string{"X-Scope-OrgID": "edge"},
		HTTP: config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "u", Password: "p"}}})
	if a := c.post(t.Context(), protocol1, []byte("body"), 0); a.verdict != accepted || a.code != 204 {
		t.Fatalf("post = %+v, want accepted with 204", a)
	}
	for name, want := range map[string]string{
		"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0",
		"User-Agent": "nodepush/1.2.3", "X-Scope-Orgid": "edge", "Retry-Attempt": "", "Authorization": "Basic dTpw",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("header %s = %q, want %q", name, v, want)
		}
	}
	if got.Method != "POST" || got.URL.String() != "/push?a=b" || string(sent) != "body" || got.ProtoMajor != 1 {
		t.Errorf("request = %s %s %q", got.Method, got.URL, sent)
	}
	c.post(t.Context(), protocol1, []byte("body"), 3)
	if v := got.Header.Get("Retry-Attempt"); v != "3" {
		t.Errorf("Retry-Attempt of the third repetition = %q, want 3", v)
	}
}

// Credentials never reach another host, and TLS is never given up.
func TestPostRedirects(t *testing.T) {
	var strangers atomic.Int32
	stranger := server(t, func(w http.ResponseWriter, r *http.Request) { strangers.Add(1) })
	strangerTLS := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { strangers.Add(1) }))
	t.Cleanup(strangerTLS.Close)
	tests := []struct {
		name   string
		status int
		to     string
		follow bool
		want   verdict
	}{
		{"307 to the same host", 307, "/moved", true, accepted},
		{"308 to the same host", 308, "/moved", true, accepted},
		{"307 when redirects are not followed", 307, "/moved", false, noReceiver},
		{"301", 301, "/moved", true, noReceiver},
		{"302", 302, "/moved", true, noReceiver},
		{"303", 303, "/moved", true, noReceiver},
		{"304", 304, "", true, noReceiver},
		{"307 to another host", 307, stranger.URL + "/moved", true, noReceiver},
		{"308 to another host with TLS", 308, strangerTLS.URL + "/moved", true, noReceiver},
		{"307 with other credentials", 307, "//user:password@HOST/moved", true, noReceiver},
		{"307 in circles", 307, "/", true, noReceiver},
		{"307 without an address", 307, "", true, noReceiver},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var method, body string
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					b, _ := io.ReadAll(r.Body)
					method, body = r.Method, string(b)
					return
				}
				if tt.to != "" {
					w.Header().Set("Location", strings.ReplaceAll(tt.to, "HOST", r.Host))
				}
				w.WriteHeader(tt.status)
			})
			c := testClient(t, Receiver{URL: s.URL + "/", HTTP: config.HTTPClientConfig{FollowRedirects: tt.follow,
				Authorization: &config.Authorization{Type: "Bearer", Credentials: "secret"}}})
			if a := c.post(t.Context(), protocol1, []byte("data"), 0); a.verdict != tt.want {
				t.Errorf("post = %v (verdict %v), want verdict %v", a, a.verdict, tt.want)
			}
			if tt.want == accepted && (method != "POST" || body != "data") {
				t.Errorf("the new address got %s %q, want POST data", method, body)
			}
		})
	}
	if n := strangers.Load(); n != 0 {
		t.Errorf("another host got %d requests, want none", n)
	}
}

func TestMayFollow(t *testing.T) {
	tests := []struct {
		from, to string
		want     bool
	}{
		{"https://a/x", "https://a/y", true},
		{"https://a/x", "https://a:443/y", true},
		{"https://a/x", "https://a:444/y", false},
		{"https://a/x", "http://a/y", false},
		{"http://a/x", "https://a/y", true},
		{"http://a:8080/x", "https://a/y", false},
		{"http://a/x", "https://a:8443/y", false},
		{"https://a/x", "https://a.evil/y", false},
		{"http://a/x", "ftp://a/y", false},
		{"http://[::1]/x", "http://[::1]:80/y", true},
		{"http://u:p@a/x", "http://u:p@a/y", true},
		{"http://a/x", "http://u:p@a/y", false},
	}
	for _, tt := range tests {
		from, _ := url.Parse(tt.from)
		to, _ := url.Parse(tt.to)
		req := &http.Request{URL: to, Response: &http.Response{StatusCode: 307}}
		if got := mayFollow(req, []*http.Request{{URL: from}}); got != tt.want {
			t.Errorf("mayFollow(%s to %s) = %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestPostIsBoundedByTheTimeout(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    verdict
		unknown bool
	}{
		{"no answer", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, tryAgain, true},
		{"a byte now and then", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			for r.Context().Err() == nil {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		}, tryAgain, true},
		{"an endless body", func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, accepted, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				tt.handler(w, r)
			})
			c := testClient(t, Receiver{URL: s.URL, Timeout: 100 * time.Millisecond})
			begin := time.Now()
			a := c.post(t.Context(), protocol1, []byte("data"), 0)
			if a.verdict != tt.want || a.unknown != tt.unknown {
				t.Errorf("post = %+v, want verdict %v, unknown %v", a, tt.want, tt.unknown)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("post took %v with a timeout of 100ms", d)
			}
		})
	}
}

func TestPostKnowsWhatNeverArrived(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := testClient(t, Receiver{URL: "http://" + l.Addr().String()})
	if a := c.post(t.Context(), protocol1, []byte("data"), 0); a.verdict != tryAgain || a.unknown || a.code != 0 {
		t.Errorf("post to a closed port = %+v, want to try again, and that nothing arrived", a)
	}
}

// A receiver that moves is found again: after some errors nothing of the old
// connections is used.
func TestPostReconnects(t *testing.T) {
	broken := make(chan struct{})
	old := server(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-broken:
			<-r.Context().Done()
		default:
		}
	})
	moved := server(t, func(w http.ResponseWriter, r *http.Request) {})
	address := old.Listener.Addr().String()
	var dials atomic.Int32
	c := testClient(t, Receiver{URL: "http://receiver.example/push", Timeout: 50 * time.Millisecond})
	c.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	post := func() answer { return c.post(t.Context(), protocol1, []byte("x"), 0) }
	if a := post(); a.verdict != accepted {
		t.Fatalf("post before = %+v", a)
	}
	first := c.http
	close(broken)
	for range reconnectAfter {
		if a := post(); a.verdict != tryAgain {
			t.Fatalf("post to the dead receiver = %+v", a)
		}
	}
	address = moved.Listener.Addr().String()
	if a := post(); a.verdict != accepted || c.http == first {
		t.Errorf("post after the move = %+v, with a new client: %v", a, c.http != first)
	}
	if dials.Load() < 2 {
		t.Errorf("%d dials, want a new one after the move", dials.Load())
	}
}

func TestPostHidesSecrets(t *testing.T) {
	const secret = "hunter2hunter2"
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		r.Header.Write(w)
		io.WriteString(w, r.URL.String()+" "+secret)
	}
	s := server(t, echo)
	host := s.Listener.Addr().String()
	auth := func(c config.HTTPClientConfig) Receiver { return Receiver{URL: s.URL, HTTP: c} }
	tests := []struct {
		name string
		r    Receiver
	}{
		{"password in the url", Receiver{URL: "http://user:" + secret + "@" + host + "/"}},
		{"token in the url", Receiver{URL: s.URL + "/push?token=" + secret}},
		{"header", Receiver{URL: s.URL, Headers: map[string]string{"X-Token": secret}}},
		{"basic auth", auth(config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "u", Password: secret}})},
		{"bearer", auth(config.HTTPClientConfig{Authorization: &config.Authorization{Credentials: secret}})},
		{"old bearer", auth(config.HTTPClientConfig{BearerToken: secret})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testClient(t, tt.r)
			if a := c.post(t.Context(), protocol1, nil, 0); a.code != 400 || strings.Contains(a.text, secret) {
				t.Errorf("answer text = %q, must not hold the secret", a.text)
			}
			c.dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("no route for " + secret)
			}
			c.close()
			a := c.post(t.Context(), protocol1, nil, 0)
			if text := a.String(); a.err == nil || strings.Contains(text, secret) || strings.Contains(text, "push") {
				t.Errorf("error = %q, must not hold the secret or the url", text)
			}
		})
	}
}

func TestNewClientRefusesBadConfigurations(t *testing.T) {
	for _, bad := range []string{"", "receiver", "ftp://a/b", "http://", "http://u:hunter2@[::1", "http:/x", "/path"} {
		_, err := newClient(Receiver{URL: bad}, "1")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("newClient(%q) = %v, want an error without the password", bad, err)
		}
	}
	both := config.HTTPClientConfig{BearerToken: "a", BearerTokenFile: "b"}
	if _, err := newClient(Receiver{URL: "http://a/", HTTP: both}, "1"); err == nil {
		t.Error("newClient accepts two bearer tokens")
	}
}

// A certificate that is not there yet is the network's kind of failure.
func TestPostWithoutCertificate(t *testing.T) {
	c := testClient(t, Receiver{URL: "https://127.0.0.1:1/", HTTP: config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: t.TempDir() + "/none"}}})
	if a := c.post(t.Context(), protocol1, nil, 0); a.verdict != tryAgain || a.unknown {
		t.Errorf("post = %+v, want to try again", a)
	}
}

func TestPostReadsLittleOfALongBody(t *testing.T) {
	written := make(chan int, 1)
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		n := 0
		for chunk := bytes.Repeat([]byte("z"), 64<<10); n < 1<<30; {
			k, err := w.Write(chunk)
			if n += k; err != nil {
				break
			}
		}
		written <- n
	})
	c := testClient(t, Receiver{URL: s.URL})
	if a := c.post(t.Context(), protocol1, nil, 0); a.verdict != rejected || len(a.text) != keptBody {
		t.Errorf("post = verdict %v with %d bytes of text", a.verdict, len(a.text))
	}
	if n := <-written; n == 1<<30 {
		t.Error("the whole endless body was read")
	}
}
