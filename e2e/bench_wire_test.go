package e2e

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// wireRounds is how many rounds of 1 s each agent of BenchmarkWireBytes makes,
// at least.
const wireRounds = 100

// link is one agent of BenchmarkWireBytes and the sink that it delivers to.
type link struct {
	protocol    string
	message     string
	collections int     // in a request; wireRounds: a backlog of so many
	target      float64 // bytes per sample, at most; 0: none
	sink        *sink
}

// deadline is how long a collection waits for others: half a round after the
// last one that shall be in the request.
func (l *link) deadline() time.Duration {
	if l.collections == wireRounds {
		return 100 * time.Millisecond
	}
	return time.Duration(l.collections)*time.Second - 500*time.Millisecond
}

// BenchmarkWireBytes is the second table of `make bench`: what a sample of the
// host's rounds of 1 s takes on the wire, compressed, as the sink counts both.
// All agents run at once, since their bytes do not depend on the time they get.
func BenchmarkWireBytes(b *testing.B) {
	for b.Loop() {
		links := []*link{
			{"1.0", message1, 1, 0, nil}, {"1.0", message1, 4, 0, nil}, {"1.0", message1, wireRounds, 0, nil},
			{"2.0", message2, 1, 12, nil}, {"2.0", message2, 4, 4.5, nil}, {"2.0", message2, wireRounds, 3, nil},
		}
		for _, l := range links {
			l.start(b)
		}
		time.Sleep(wireRounds * time.Second)
		for _, l := range links {
			l.sink.down.Store(false)
		}
		reportWire(b, links)
	}
}

func (l *link) start(b *testing.B) {
	dir := b.TempDir()
	l.sink = &sink{}
	l.sink.down.Store(l.collections == wireRounds)
	server := httptest.NewServer(l.sink)
	config := write(b, filepath.Join(dir, "nodepush.yaml"), fmt.Sprintf(`
global: {scrape_interval: 1s}
remote_write:
- url: %s/api/v1/write
  protobuf_message: %s
  queue_config: {batch_send_deadline: %dms, max_backoff: 1s}
wal: {dir: %s}
`, server.URL, l.message, l.deadline().Milliseconds(), filepath.Join(dir, "wal")))
	agent := start(b, binary, "run", "--config.file="+config)
	b.Cleanup(func() {
		agent.stop(b, syscall.SIGTERM, 15*time.Second)
		server.Close()
	})
}

// reportWire waits for the last request of each link and prints the table.
func reportWire(b *testing.B, links []*link) {
	b.Helper()
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "protocol\tcollections a request\trequests\tsamples a collection\tsamples\tbytes\twire B/sample\ttarget\t")
	for _, l := range links {
		var all []request
		eventually(b, time.Minute, fmt.Sprintf("%s, %d collections a request", l.protocol, l.collections), func() (err error) {
			all, err = l.measured()
			return err
		})
		samples, size, rounds := 0, 0, 0
		for _, req := range all {
			samples, size, rounds = samples+req.samples, size+req.bytes, rounds+len(req.rounds)
		}
		perSample := float64(size) / float64(samples)
		target := ""
		if l.target > 0 {
			target = fmt.Sprintf("≤ %g", l.target)
			if perSample > l.target {
				target += " missed"
			}
		}
		fmt.Fprintf(w, "%s\t%.1f\t%d\t%d\t%d\t%d\t%.2f\t%s\t\n", l.protocol, float64(rounds)/float64(len(all)), len(all), samples/rounds, samples, size, perSample, target)
		b.ReportMetric(perSample, fmt.Sprintf("B/sample-%s-%d", l.protocol, l.collections))
	}
	w.Flush()
	fmt.Printf("\nthe host's rounds of 1 s on the wire\n%s\n", &text)
}

// measured returns the requests that count, or an error while there are too
// few of them. A backlog is delivered when a request holds one round again.
func (l *link) measured() (all []request, err error) {
	rounds, wrong := 0, 0
	for _, req := range l.sink.received() {
		if req.v2 != (l.message == message2) {
			return nil, fmt.Errorf("a request of the other protocol")
		}
		switch n := len(req.rounds); {
		case l.collections == wireRounds:
			if n == 1 && rounds >= wireRounds-2 {
				return all, nil
			}
		case n != l.collections:
			wrong++
			continue
		}
		rounds += len(req.rounds)
		all = append(all, req)
	}
	switch {
	case l.collections == wireRounds:
		return nil, fmt.Errorf("%d rounds in %d requests, and the backlog is not delivered", rounds, len(all))
	case rounds < wireRounds*9/10:
		return nil, fmt.Errorf("%d requests hold another number of collections, %d hold %d", wrong, len(all), l.collections)
	}
	return all, nil
}
