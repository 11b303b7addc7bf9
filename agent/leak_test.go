package agent

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"nodepush/collector"
	"nodepush/receiver"
)

// With the real log and the real sender, three lives leave no goroutine and
// no open file.
func TestNothingIsLeft(t *testing.T) {
	sink := receiver.New(receiver.Options{Strict: true})
	server := httptest.NewServer(sink)
	defer server.Close()
	files, goroutines := openFiles(t), runtime.NumGoroutine()

	c := demoConfig(t.TempDir()+"/wal", server.Listener.Addr().String())
	c.Interval, c.ShutdownTimeout = 100*time.Millisecond, time.Minute
	for i := range c.Collectors {
		c.Collectors[i].Interval = c.Interval
	}
	a := newAgent(collector.Paths{Procfs: "/proc", Sysfs: "/sys", Rootfs: "/", UdevData: "/run/udev/data", Runfs: "/run"},
		func() (*Config, []Warning, error) { return c, nil, nil }, slog.New(slog.DiscardHandler))
	signals, ended := make(chan os.Signal, 1), make(chan error, 1)
	go func() { ended <- a.run(c, signals) }()
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM} {
		before := sink.Stats().Requests
		until(t, "two requests", func() bool { return sink.Stats().Requests >= before+2 })
		signals <- s
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got, want := sink.Stats().Samples, a.collected(); got != want || sink.Stats().Refused > 0 {
		t.Errorf("%d samples collected, %d stored, %d requests refused: %s", want, got, sink.Stats().Refused, sink.Stats().LastRefusal)
	}
	server.CloseClientConnections()
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	until(t, "files to be closed", func() bool { return openFiles(t) <= files })
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
