package agent

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager is the socket of a service manager.
type manager struct {
	*net.UnixConn
	t *testing.T
}

func newManager(t *testing.T, name string) manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return manager{c, t}
}

// hears returns the next datagram, without the line that ends it.
func (m manager) hears() string {
	m.t.Helper()
	b := make([]byte, 4096)
	m.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err := m.Read(b)
	if err != nil {
		m.t.Fatalf("wait for a notification: %v", err)
	}
	return strings.TrimSuffix(string(b[:n]), "\n")
}

func (m manager) expect(want string) {
	m.t.Helper()
	if got := m.hears(); got != want {
		m.t.Errorf("heard %q, want %q", got, want)
	}
}

// reloading checks that the time of a reload is now on the clock systemd
// compares it with.
func (m manager) reloading() {
	m.t.Helper()
	heard := m.hears()
	digits, ok := strings.CutPrefix(heard, "RELOADING=1\nMONOTONIC_USEC=")
	usec, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		m.t.Fatalf("heard %q, want RELOADING and its time", heard)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		m.t.Fatal(err)
	}
	if age := time.Duration(now.Nano()) - time.Duration(usec)*time.Microsecond; age < 0 || age > 10*time.Second {
		m.t.Errorf("the reload was %s ago", age)
	}
}

// What systemd hears of a life with a reload that is refused and one that is not.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{dir + "/notify", "@nodepush-test-" + strconv.Itoa(syscall.Getpid())} {
		m := newManager(t, name)
		file, wal := dir+"/nodepush.yaml", t.TempDir()
		write(t, file, fmt.Sprintf(serviceConfig, "a", "http://127.0.0.1:1", wal))
		s := service{nodepush(t, "run", "--config.file="+file), new(journal)}
		s.Stderr = s.journal
		s.Env = append(s.Env, "NOTIFY_SOCKET="+name)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		m.expect("READY=1\nSTATUS=Collectors: 1, every 1s; receivers: 1")
		write(t, file, "broken: true\n")
		s.Process.Signal(syscall.SIGHUP)
		m.reloading()
		m.expect("READY=1\nSTATUS=The changed configuration is refused; the old one goes on")
		write(t, file, strings.Replace(fmt.Sprintf(serviceConfig, "a", "http://127.0.0.1:1", wal), "scrape_interval: 1s", "scrape_interval: 2s", 1))
		s.Process.Signal(syscall.SIGHUP)
		m.reloading()
		m.expect("READY=1\nSTATUS=Collectors: 1, every 2s; receivers: 1")
		s.Process.Signal(syscall.SIGTERM)
		m.expect("STOPPING=1")
		if err := s.Wait(); err != nil {
			t.Errorf("%v\n%s", err, s.journal)
		}
	}
}

// A manager that reads nothing keeps the agent from nothing.
func TestNotifyDeafManager(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newManager(t, dir+"/notify")
	file := dir + "/nodepush.yaml"
	write(t, file, fmt.Sprintf(serviceConfig, "a", "http://127.0.0.1:1", dir+"/wal"))
	s := service{nodepush(t, "run", "--config.file="+file), new(journal)}
	s.Stderr = s.journal
	s.Env = append(s.Env, "NOTIFY_SOCKET="+dir+"/notify")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the agent to run", func() bool { return s.journal.lines("running") == 1 })
	write(t, file, "broken: true\n")
	hups := 0
	until(t, "the socket to be full", func() bool {
		if s.journal.lines("configuration is not reloaded") == hups { // none is under way
			s.Process.Signal(syscall.SIGHUP)
			hups++
		}
		return s.journal.lines("notify the service manager") > 0
	})
	s.Process.Signal(syscall.SIGTERM)
	if err := s.Wait(); err != nil {
		t.Errorf("%v\n%s", err, s.journal)
	}
}

// A manager that has gone costs a line in the log and nothing else.
func TestNotifyNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", t.TempDir()+"/none")
	r := newRig(t)
	r.notify("READY=1")
	if r.journal.lines("notify the service manager") != 1 {
		t.Errorf("log:\n%s", r.journal)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	r.notify("READY=1")
	if r.journal.lines("") != 1 {
		t.Errorf("log without a socket:\n%s", r.journal)
	}
}
