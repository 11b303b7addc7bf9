package view

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Where there is no terminal, a view is lines and has nothing else to do.
func TestLines(t *testing.T) { synctest.Test(t, testLines) }

func testLines(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	var out strings.Builder
	v, err := Open(&out, Options{Receiver: s.sink, Address: "there:1", Dir: dir, Collectors: 7, Messages: NewHeldLog(&out)})
	if err != nil {
		t.Fatal(err)
	}
	v.ReadKeys()
	show := func(want string) {
		t.Helper()
		out.Reset()
		if err := v.Show(); err != nil || strings.Join(strings.Fields(out.String()), " ") != want {
			t.Errorf("%v, %q, want %q", err, out.String(), want)
		}
	}
	if head := out.String(); !strings.Contains(head, "7 collectors") || !strings.Contains(head, "receiver on there:1\n") || v.Events() != nil {
		t.Errorf("head %q, events %v", head, v.Events())
	}
	show("0 0 0 0 - - - - -")
	if err := os.WriteFile(dir+"/segment", make([]byte, 30), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	s.send(10, "up 1\nnode_load1 0.5\nprocess_cpu_seconds_total 3\nprocess_resident_memory_bytes 1048576")
	show("2 1 4 4 " + ratio(float64(s.sink.Stats().WireBytes), 4, 2) + " 7.50 - 1.0 0.50")
	before := s.sink.Stats().WireBytes
	s.send(12, "up 1\nprocess_cpu_seconds_total 3.5")
	wire := s.sink.Stats().WireBytes
	show("2 2 4 2 " + ratio(float64(wire-before), 2, 2) + " 0.00 25.0 1.0 0.50")
	v.Close()
	out.Reset()
	if err := v.Summary(8); err != nil || out.String() != "\n2 rounds: 8 samples collected, 6 stored by the receiver in 2 requests, 0 requests refused; "+
		ratio(float64(wire), 6, 2)+" B/sample on the wire, 5.00 in the log with its dictionary\n" {
		t.Errorf("%v, summary %q", err, out.String())
	}
}

// A head that cannot be written is an error, not a view.
func TestOpenInVain(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if v, err := Open(w, Options{Receiver: newStage(t).sink, Messages: NewHeldLog(w)}); v != nil || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v, %v", v, err)
	}
}
