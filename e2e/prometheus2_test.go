package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// build2 builds prometheus2 once for all tests that want it. With an empty
// build cache it takes minutes.
var build2 = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "prometheus2")
	begin := time.Now()
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "prometheus2"
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build prometheus2: %w\n%s", err, out)
	}
	fmt.Fprintf(os.Stderr, "e2e: prometheus2 built in %s\n", time.Since(begin).Round(time.Second))
	return path, nil
})

// startPrometheus2 starts Prometheus' 2.0 handler and storage. It is to be
// called before t.Parallel, so that a long build disturbs no other test.
func startPrometheus2(t *testing.T) *prometheus {
	t.Helper()
	path, err := build2()
	if err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	p := &prometheus{t: t, addr: addr, probe: "/metrics", command: []string{path, "--listen=" + addr, "--dir=" + t.TempDir()}}
	p.run()
	return p
}

// point is a sample, its value bit by bit: stale markers are NaNs.
type point struct {
	at   int64 // milliseconds
	bits uint64
}

// staleNaN marks the end of a series.
const staleNaN = 0x7ff0000000000002

func pointOf(at int64, value float64) point { return point{at, math.Float64bits(value)} }

func (p point) value() float64 { return math.Float64frombits(p.bits) }

// raw returns all that a Prometheus has of the test by remote read, which is
// the only way to see stale markers: the label via says which way a series
// came, the rest of its labels is its key.
func (p *prometheus) raw() map[string]map[string][]point {
	p.t.Helper()
	query := prompb.ReadRequest{Queries: []*prompb.Query{{EndTimestampMs: time.Now().Add(time.Hour).UnixMilli(),
		Matchers: []*prompb.LabelMatcher{{Name: "site", Value: "e2e"}}}}}
	body, err := query.Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Post("http://"+p.addr+"/api/v1/read", content1, bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("remote read: %s %v %s", res.Status, err, answer)
	}
	var found prompb.ReadResponse
	if answer, err = snappy.Decode(nil, answer); err == nil {
		err = found.Unmarshal(answer)
	}
	if err != nil {
		p.t.Fatalf("remote read: %v", err)
	}
	return byWay(found.Results[0].Timeseries)
}

func byWay(list []*prompb.TimeSeries) map[string]map[string][]point {
	ways := make(map[string]map[string][]point)
	for _, ts := range list {
		names := make(map[string]string)
		for _, l := range ts.Labels {
			names[l.Name] = l.Value
		}
		way := names["via"]
		delete(names, "via")
		if ways[way] == nil {
			ways[way] = make(map[string][]point)
		}
		points := make([]point, 0, len(ts.Samples))
		for _, s := range ts.Samples {
			points = append(points, pointOf(s.Timestamp, s.Value))
		}
		ways[way][key(names)] = points
	}
	return ways
}

// companion is what came to prometheus2 beside a series' samples.
type companion struct {
	Labels           map[string]string
	Type, Unit, Help string
	Start            int64
}

// seen returns what came beside the samples.
func (p *prometheus) seen() (list []companion) {
	p.t.Helper()
	if err := json.Unmarshal(fetch(p.t, "http://"+p.addr+"/seen"), &list); err != nil {
		p.t.Fatal(err)
	}
	return list
}

// relay stands before a receiver and notes the Content-Type of each request
// that it answered, in order. A receiver that is not there looks like one.
type relay struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
}

func newRelay(t *testing.T, addr string) *relay {
	r := &relay{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.ModifyResponse = func(res *http.Response) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, res.Request.Header.Get("Content-Type"))
		return nil
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	r.Server = httptest.NewServer(proxy)
	t.Cleanup(r.Close)
	return r
}

// count returns how many requests of each protocol were answered, and whether
// those of 2.0 came first.
func (r *relay) count() (one, two int, ordered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ordered = true
	for _, content := range r.calls {
		switch content {
		case content2:
			two++
			ordered = ordered && one == 0
		case content1:
			one++
		default:
			ordered = false
		}
	}
	return one, two, ordered
}
