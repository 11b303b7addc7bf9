package receiver

import (
	"net/http"
	"strings"
	"testing"
)

// counts returns the Written headers of an answer as "samples histograms
// exemplars", "" when there is none.
func counts(h http.Header) string {
	var found []string
	for _, kind := range []string{"Samples", "Histograms", "Exemplars"} {
		found = append(found, h.Get("X-Prometheus-Remote-Write-"+kind+"-Written"))
	}
	return strings.TrimSpace(strings.Join(found, " "))
}

// set returns a change of one header, which goes with the value "".
func set(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
}

func TestHeaders(t *testing.T) {
	const version = "X-Prometheus-Remote-Write-Version"
	one, two := body1(t, timeSeries("__name__=up", 1, 1)), body2(t, good2())
	for _, c := range []struct {
		name    string
		req     *http.Request
		change  func(*http.Request)
		options Options
		code    int
		text    string
		counts  string
	}{
		{"1.0", request(one), set("", ""), Options{}, 204, "", ""},
		{"1.0 with message type", request(one), set("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest"), Options{}, 204, "", ""},
		{"1.0 path", request(one), func(r *http.Request) { r.URL.Path = "/" }, Options{}, 404, "no such path", ""},
		{"1.0 method", request(one), func(r *http.Request) { r.Method = "PUT" }, Options{}, 405, "only POST", ""},
		{"1.0 encoding", request(one), set("Content-Encoding", "gzip"), Options{}, 415, "gzip", ""},
		{"1.0 no encoding", request(one), set("Content-Encoding", ""), Options{}, 415, "only snappy", ""},
		{"1.0 type", request(one), set("Content-Type", "text/plain"), Options{}, 415, "text/plain", ""},
		{"1.0 no type", request(one), set("Content-Type", ""), Options{}, 415, "io.prometheus.write.v2.Request are allowed", ""},
		{"1.0 version of 2.0", request(one), set(version, "2.0.0"), Options{}, 400, "prometheus.WriteRequest; only 0.1.0", ""},
		{"1.0 no version", request(one), set(version, ""), Options{}, 400, "0.1.0", ""},
		{"1.0 no sender", request(one), set("User-Agent", ""), Options{}, 400, "User-Agent", ""},

		{"2.0", request2(two), set("", ""), Options{}, 204, "", "1 0 0"},
		{"2.0 path", request2(two), func(r *http.Request) { r.URL.Path = "/" }, Options{}, 404, "no such path", ""},
		{"2.0 encoding", request2(two), set("Content-Encoding", "zstd"), Options{}, 415, "zstd", ""},
		{"2.0 type with a space", request2(two), set("Content-Type", "application/x-protobuf; proto=io.prometheus.write.v2.Request"), Options{}, 415, "; proto", ""},
		{"2.0 type of an older draft", request2(two), set("Content-Type", "application/x-protobuf;proto=io.prometheus.remote.write.v2.Request"), Options{}, 415, "remote.write", ""},
		{"2.0 version of 1.0", request2(two), set(version, "0.1.0"), Options{}, 400, "write.v2.Request; only 2.0.0", "0 0 0"},
		{"2.0 version of a draft", request2(two), set(version, "2.0"), Options{}, 400, `"2.0"`, "0 0 0"},
		{"2.0 no version", request2(two), set(version, ""), Options{}, 400, "only 2.0.0", "0 0 0"},
		{"2.0 no sender", request2(two), set("User-Agent", ""), Options{}, 400, "User-Agent", "0 0 0"},
		{"2.0 body under the type of 1.0", request(two), set("", ""), Options{}, 204, "", ""}, // the specification's own warning
		{"1.0 body under the type of 2.0", request2(one), set("", ""), Options{}, 400, "no symbols", "0 0 0"},

		{"only 1.0, sent 1.0", request(one), set("", ""), Options{Only1: true}, 204, "", ""},
		{"only 1.0, sent 2.0", request2(two), set("", ""), Options{Only1: true}, 415, "proto=prometheus.WriteRequest are allowed", ""},
		{"ignorant, sent 1.0", request(one), set("", ""), Options{Ignorant: true}, 204, "", ""},
		{"ignorant, sent 2.0", request2(two), set("", ""), Options{Ignorant: true}, 204, "", ""},
		{"ignorant, sent a bad 1.0", request(body1(t, timeSeries("a=b", 1, 1))), set("", ""), Options{Ignorant: true}, 400, "__name__", ""},
		{"asked for an answer to 2.0", request2(two), set("", ""), Options{Answer: func(*http.Request) int { return 503 }}, 503, "503", "0 0 0"},
		{"asked for an answer to 1.0", request(one), set("", ""), Options{Answer: func(*http.Request) int { return 503 }}, 503, "503", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(c.options)
			c.change(c.req)
			w := answer(r, c.req)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.text) || counts(w.Header()) != c.counts {
				t.Errorf("answer = %d %q, written %q; want %d with %q, written %q", w.Code, w.Body, counts(w.Header()), c.code, c.text, c.counts)
			}
			stored := 0
			if c.code == 204 && !strings.Contains(c.name, "sent 2.0") && c.name != "2.0 body under the type of 1.0" {
				stored = 1
			}
			if got := r.Stats(); len(r.Series()) != stored || got.Samples != uint64(stored) || got.Requests != 1 || got.Refused != map[bool]uint64{true: 1}[c.code != 204] {
				t.Errorf("%d series stored, want %d; stats %+v", len(r.Series()), stored, got)
			}
			if got, want := r.Stats().Requests2, map[bool]uint64{true: 1}[c.req.Header.Get("Content-Type") == contentType2]; got != want {
				t.Errorf("%d requests of 2.0 counted, want %d", got, want)
			}
		})
	}
}
