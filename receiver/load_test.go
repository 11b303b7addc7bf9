package receiver

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/prompb"
)

// Many senders and readers at once; each sample is counted once.
func TestConcurrent(t *testing.T) {
	server := httptest.NewServer(New(Options{}))
	r := server.Config.Handler.(*Receiver)
	defer server.Close()
	var senders sync.WaitGroup
	for i := range 8 {
		body := body1(t, timeSeries(fmt.Sprintf("__name__=m i=%d", i), 1, 1), timeSeries("__name__=shared", float64(i), 1))
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

func BenchmarkWrite(b *testing.B) {
	var series []prompb.TimeSeries
	for i := range 1000 {
		series = append(series, timeSeries(fmt.Sprintf("__name__=node_network_receive_bytes_total device=eth%d instance=host job=node", i), 1, 1))
	}
	body := body1(b, series...)
	r := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		if code, text := send(r, request(body)); code != 204 {
			b.Fatal(code, text)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
