package writer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkCatchUp delivers a backlog of 200 collections of 1000 series to a
// receiver that reads and forgets.
func BenchmarkCatchUp(b *testing.B) {
	var bytes atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
		w.WriteHeader(204)
	}))
	defer s.Close()
	const collections, series = 200, 1000
	for b.Loop() {
		b.StopTimer()
		p := openPipe(b, b.TempDir(), testClock(), testReceiver("r", s.URL))
		for range collections {
			p.collect(series)
		}
		b.StartTimer()
		p.start()
		for p.value("nodepush_sent_samples_total", "r") < collections*series {
			time.Sleep(100 * time.Microsecond)
		}
		b.StopTimer()
		p.kill()
		b.StartTimer()
	}
	samples := float64(b.N * collections * series)
	b.ReportMetric(samples/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(bytes.Load())/samples, "B/sample")
}
