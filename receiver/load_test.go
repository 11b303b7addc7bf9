package receiver

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// Many senders and readers at once; each sample is counted once.
func TestConcurrent(t *testing.T) {
	server := httptest.NewServer(New(Options{}))
	r := server.Config.Handler.(*Receiver)
	defer server.Close()
	var senders sync.WaitGroup
	for i := range 8 {
		body := message(t, timeSeries(fmt.Sprintf("__name__=m i=%d", i), 1, 1), timeSeries("__name__=shared", float64(i), 1))
		senders.Go(func() {
			for range 20 {
				req := request(body)
				req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", strings.TrimPrefix(server.URL, "http://")
				answer, err := server.Client().Do(req)
				if err != nil || answer.StatusCode != 204 {
					t.Error(err, answer)
					return
				}
				answer.Body.Close()
				r.Select("m")
				r.Stats()
			}
		})
	}
	senders.Wait()
	if s := r.Stats(); s.Requests != 160 || s.Samples != 320 || s.Series != 9 || s.First.After(s.Last) {
		t.Errorf("counted %+v", s)
	}
}

// Whatever arrives, nothing panics, and what is refused leaves no trace.
func FuzzReceiver(f *testing.F) {
	for _, ts := range []prompb.TimeSeries{timeSeries("__name__=up", 1, 1), timeSeries("__name__=a b=c", 5, 1, 4, 2), timeSeries("")} {
		m := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{ts, timeSeries("__name__=up", 2, 2)}}
		b, _ := m.Marshal()
		f.Add(b, true)
		f.Add(snappy.Encode(nil, b), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, compress bool) {
		if compress {
			body = snappy.Encode(nil, body)
		}
		r := New(Options{Strict: true, KeepBytes: 1 << 16, MaxSeries: 100})
		send(r, request(message(t, timeSeries("__name__=up", 1, 1))))
		before := dump(r)
		code, text := send(r, request(body))
		switch {
		case code == 204:
		case code < 400 || text == "":
			t.Errorf("answer %d %q", code, text)
		case dump(r) != before:
			t.Errorf("refused with %d %q, but stored", code, text)
		}
		live := 0
		for _, s := range r.Series() {
			if s.Live {
				live++
			}
		}
		if got := r.Stats().Series; got != live {
			t.Errorf("%d series are live, %d counted", live, got)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	var series []prompb.TimeSeries
	for i := range 1000 {
		series = append(series, timeSeries(fmt.Sprintf("__name__=node_network_receive_bytes_total device=eth%d instance=host job=node", i), 1, 1))
	}
	body := message(b, series...)
	r := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		if code, text := send(r, request(body)); code != 204 {
			b.Fatal(code, text)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
