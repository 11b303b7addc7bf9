package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nodepush/metric"
	"nodepush/receiver"
)

// service is a running `nodepush run`.
type service struct {
	*exec.Cmd
	journal *journal
}

const serviceConfig = `
global:
  scrape_interval: 1s
  external_labels: {site: %s}
collectors: {profile: none, loadavg: {}}
remote_write:
- url: %s/api/v1/write
  queue_config: {batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 200ms}
wal: {dir: %s}
`

func startService(t *testing.T, file string) service {
	t.Helper()
	s := service{nodepush(t, "run", "--config.file="+file), new(journal)}
	s.Stderr = s.journal
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for a condition, at most half a minute.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The whole service as a process: it starts without its receiver, sends what
// it kept, survives a broken reload, takes a good one, and stops in order.
func TestService(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	sink := receiver.New(receiver.Options{Strict: true, KeepBytes: 1 << 24, Answer: func(*http.Request) int {
		if down.Load() {
			return 503
		}
		return 0
	}})
	server := httptest.NewServer(sink)
	defer server.Close()
	dir := t.TempDir()
	file := dir + "/nodepush.yaml"
	write(t, file, fmt.Sprintf(serviceConfig, "a", server.URL, dir+"/state/wal"))
	s := startService(t, file)
	site := func(name string) []receiver.Series {
		return sink.Select("node_load1", metric.Label{Name: "site", Value: name})
	}

	until(t, "requests that fail", func() bool { return sink.Stats().Refused > 2 })
	down.Store(false)
	until(t, "a sample", func() bool { return len(site("a")) == 1 })
	second := startService(t, file)
	if err := second.Wait(); err == nil || second.ProcessState.ExitCode() != 1 {
		t.Errorf("a second service with the same log: %v\n%s", err, second.journal)
	}
	write(t, file, "broken: true\n")
	s.Process.Signal(syscall.SIGHUP)
	until(t, "the problem in the log", func() bool { return s.journal.lines("nodepush.yaml:1") > 0 })
	write(t, file, fmt.Sprintf(serviceConfig, "b", server.URL, dir+"/state/wal"))
	s.Process.Signal(syscall.SIGHUP)
	until(t, "a sample of the new configuration", func() bool { return len(site("b")) == 1 && site("b")[0].Count > 1 })
	s.Process.Signal(syscall.SIGTERM)
	if err := s.Wait(); err != nil || s.journal.lines("msg=stopped") != 1 {
		t.Errorf("stop: %v\n%s", err, s.journal)
	}

	// One series is stale since its labels changed; the other is live, for a
	// stop sends no markers. Together they have every second from first to last.
	a, b := site("a")[0], site("b")[0]
	if !b.Live {
		t.Error("stopping marked the series as stale")
	}
	var all []receiver.Sample
	for _, v := range append(a.Samples, b.Samples...) {
		if !v.Stale() {
			all = append(all, v)
		}
	}
	for i := 1; i < len(all); i++ {
		if gap := all[i].Time - all[i-1].Time; gap < 400 || gap > 2600 { // a reload may cost the round it falls on
			t.Errorf("%d ms between samples %d and %d of %d", gap, i-1, i, len(all))
		}
	}
	name, _ := os.ReadFile(dir + "/state/wal/instance")
	if got := a.Label("instance"); got == "" || got+"\n" != string(name) || a.Label("job") != "node" {
		t.Errorf("labels %v, instance file %q", a.Labels, name)
	}
	if refused := sink.Stats().LastRefusal; !strings.Contains(refused, "503") {
		t.Errorf("the receiver refused: %s", refused)
	}
}

// What could not be sent before a stop, or before a kill, is sent after the
// next start.
func TestServiceStopsWhileReceiverIsDown(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	sink := receiver.New(receiver.Options{Strict: true, KeepBytes: 1 << 24, Answer: func(*http.Request) int {
		if down.Load() {
			return 503
		}
		return 0
	}})
	server := httptest.NewServer(sink)
	defer server.Close()
	dir := t.TempDir()
	write(t, dir+"/nodepush.yaml", fmt.Sprintf(serviceConfig, "a", server.URL, dir+"/state/wal"))
	for _, s := range []os.Signal{syscall.SIGTERM, os.Kill} {
		p := startService(t, dir+"/nodepush.yaml")
		size, growths := logSize(dir+"/state/wal"), 0
		until(t, "a round that the receiver refuses", func() bool {
			if now := logSize(dir + "/state/wal"); now > size {
				size, growths = now, growths+1
			}
			// The dictionary, the first collection and the second: each may be seen by itself.
			return p.journal.lines("running") == 1 && growths > 2 && sink.Stats().Refused > 2
		})
		start := time.Now()
		p.Process.Signal(s)
		if err := p.Wait(); s == syscall.SIGTERM && (err != nil || p.journal.lines("what is unsent stays in the log") != 1) {
			t.Errorf("stop: %v\n%s", err, p.journal)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%v took %v", s, took)
		}
	}
	down.Store(false)
	p := startService(t, dir+"/nodepush.yaml")
	until(t, "samples of all three processes", func() bool {
		starts := make(map[float64]bool)
		for _, s := range sink.Select("nodepush_config_last_reload_success_timestamp_seconds") {
			for _, v := range s.Samples {
				starts[v.Value] = true
			}
		}
		return len(starts) == 3
	})
	p.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Errorf("%v\n%s", err, p.journal)
	}
}

// logSize adds up the segments of a log.
func logSize(dir string) (size int64) {
	segments, _ := filepath.Glob(dir + "/*.wal")
	for _, file := range segments {
		if info, err := os.Stat(file); err == nil { // it may be gone
			size += info.Size()
		}
	}
	return size
}
