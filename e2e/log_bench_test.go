package e2e

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// logWindow is how long BenchmarkLogBytes collects.
const logWindow = 20 * time.Minute

// BenchmarkLogBytes is `make bench-wal`: the host's real rounds of 1 s go into
// the log while nobody receives; then a receiver counts the samples that come
// out of it. What the log took of the disk is divided by those.
func BenchmarkLogBytes(b *testing.B) {
	for b.Loop() {
		dir, addr := b.TempDir(), freePort(b)
		config := write(b, filepath.Join(dir, "nodepush.yaml"), fmt.Sprintf(
			"global: {scrape_interval: 1s}\nremote_write: [{url: 'http://%s/api/v1/write', name: sink}]\nwal: {dir: %s}\n", addr, filepath.Join(dir, "wal")))
		p := start(b, binary, "run", "--config.file="+config)
		time.Sleep(logWindow)
		p.stop(b, syscall.SIGTERM, 15*time.Second)
		bytes := size(b, filepath.Join(dir, "wal"))

		s := &sink{}
		server := httptest.NewServer(s)
		write(b, config, fmt.Sprintf("global: {scrape_interval: 1h}\nremote_write: [{url: '%s/api/v1/write', name: sink}]\nwal: {dir: %s}\n",
			server.URL, filepath.Join(dir, "wal")))
		begin := time.Now()
		again := start(b, binary, "run", "--config.file="+config)
		rounds := int64(logWindow / time.Second)
		eventually(b, time.Minute, "the backlog", func() error {
			if n := s.rounds(); n < rounds-1 {
				return fmt.Errorf("%d of %d rounds", n, rounds)
			}
			return nil
		})
		took := time.Since(begin)
		again.stop(b, syscall.SIGTERM, 15*time.Second)
		server.Close()
		samples := s.samples.Load()
		b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
		b.ReportMetric(float64(s.bytes.Load())/float64(samples), "wire-B/sample")
		fmt.Printf("\n%d rounds of 1 s, %d samples, %d bytes in the log with cursor and dictionaries: %.3f B/sample; delivered after %s in %d requests, %.2f B/sample\n",
			s.rounds(), samples, bytes, float64(bytes)/float64(samples), took.Round(time.Millisecond), s.requests.Load(), float64(s.bytes.Load())/float64(samples))
	}
}
