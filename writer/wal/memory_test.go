package wal

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The disk refuses for good: the newest stays, within the limit, and what goes
// is counted once for the cursor.
func TestMemoryLimit(t *testing.T) {
	var lost []string
	o := options()
	o.MemoryLimit = 64 << 10
	o.OnEvict = func(cursor string, reason Reason, frames iter.Seq[Frame]) {
		if reason != EvictMemory || cursor != "c" {
			t.Errorf("evicted for %s: %s", cursor, reason)
		}
		for f := range frames {
			if f.Kind == Data && !f.Acked {
				lost = append(lost, string(f.Payload))
			}
		}
	}
	l, err := open(t.TempDir(), o, &faultyFS{fail: func(op, name string) error {
		if op == "create" {
			return syscall.ENOSPC
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustCursor(t, l, "c")
	p := &producer{log: l}
	for n := range 300 {
		if n%10 == 0 {
			mustRoll(t, l, []byte("head"))
		}
		p.put(t, fmt.Sprintf("%04d%s", n, strings.Repeat("x", 1000)))
		if s := l.Stats(); s.MemoryBytes > o.MemoryLimit || s.OnDisk {
			t.Fatalf("stats %+v", s)
		}
	}
	frames, _ := read(l, 0)
	if got := append(lost, texts(frames)...); !slices.Equal(got, p.want) {
		t.Errorf("%d lost and %d held do not make up %d", len(lost), len(frames), len(p.want))
	}
	if len(lost) == 0 || len(frames) < 40 {
		t.Errorf("%d lost, %d held", len(lost), len(frames))
	}
	held := l.Stats().MemoryBytes
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf(" %d bytes ", held)) {
		t.Errorf("close: %v, want the %d bytes it lost", err, held)
	}
	if !slices.Equal(lost, p.want) {
		t.Errorf("after close %d lost, want all %d once", len(lost), len(p.want))
	}
}

// What every cursor has acknowledged is no loss, wherever it was.
func TestCloseWithAcknowledgedMemory(t *testing.T) {
	o := options()
	o.OnEvict = func(string, Reason, iter.Seq[Frame]) { t.Error("told of a loss") }
	l := refusing(t, t.TempDir(), o, map[string]bool{"create": true})
	c := mustCursor(t, l, "c")
	(&producer{log: l}).put(t, "a")
	c.Save(State{Acked: []Range{{0, l.End()}}})
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A log that began without its directory finds it later: the old frames are
// before the new ones, the cursor is where the disk says, and a state saved in
// ignorance of that acknowledges nothing old, whatever was evicted meanwhile.
func TestDirectoryComesLate(t *testing.T) {
	dir := t.TempDir()
	old := mustOpen(t, dir, options())
	p := &producer{log: old}
	c := mustCursor(t, old, "mimir")
	p.put(t, "old 1")
	c.Save(State{Acked: []Range{{0, old.End()}}, Protocol: "2.0"})
	at := old.End()
	p.put(t, "old 2")
	mustRoll(t, old, []byte("head"))
	p.put(t, "old 3")
	c.Save(State{Acked: []Range{{0, at}}, InFlight: Range{at, at + 1}, Protocol: "2.0", BootID: [16]byte{7}, Clean: true})
	mustClose(t, old)

	missing, o := true, options()
	var lost []string
	o.OnEvict = func(_ string, _ Reason, frames iter.Seq[Frame]) {
		for f := range frames {
			if f.Kind == Data && !f.Acked {
				lost = append(lost, string(f.Payload))
			}
		}
	}
	l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
		if missing && op == "lock" {
			return syscall.EACCES
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c = mustCursor(t, l, "mimir")
	first := l.End()
	p = &producer{log: l}
	p.put(t, "new 1")
	c.Save(State{Acked: []Range{{0, l.End()}}})
	p.put(t, "new 2")
	if s, ok := c.Rewound(); ok {
		t.Errorf("without its directory the cursor rewinds to %+v", s)
	}
	changed := l.Changed()
	missing = false
	l.keepHouse(time.Now())
	select {
	case <-changed:
	default:
		t.Error("nobody waiting for the log hears of the old frames")
	}
	l.writing.Lock()
	err = l.evict(l.segments[0], EvictSize)
	l.writing.Unlock()
	if err != nil || !slices.Equal(lost, []string{"old 2"}) {
		t.Errorf("evicted %q, %v", lost, err)
	}
	end := l.End() - 1
	c.Save(State{Acked: []Range{{0, end}}})
	l.trim()
	if got, want := c.State().Acked, []Range{{0, at}, {first, end}}; !slices.Equal(got, want) {
		t.Errorf("acknowledged %v, want %v", got, want)
	}
	frames, _ := read(l, 0)
	if got := texts(frames); !slices.Equal(got, []string{"old 3", "new 1", "new 2"}) {
		t.Errorf("the log has %q", got)
	}
	want := State{Acked: []Range{{0, at}, {first, end}}, InFlight: Range{at, at + 1}, Protocol: "2.0", BootID: [16]byte{7}, Clean: true}
	if s, ok := c.Rewound(); !ok || !equalState(s, want) {
		t.Errorf("rewound to %+v, %t, want %+v", s, ok, want)
	}
	if s, ok := c.Rewound(); ok {
		t.Errorf("rewound again to %+v", s)
	}
	c.Save(State{Acked: []Range{{0, end}}}) // now in knowledge
	if got := c.State().Acked; !slices.Equal(got, []Range{{0, end}}) {
		t.Errorf("acknowledged %v", got)
	}
	mustClose(t, l)
	if got := texts(reopen(t, dir)); !slices.Equal(got, []string{"old 3", "new 1", "new 2"}) {
		t.Errorf("after a restart the log has %q", got)
	}
}

// A receiver that the late directory does not know has nothing to go back to.
func TestNewCursorDoesNotRewind(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir)
	missing := true
	l, err := open(dir, options(), &faultyFS{fail: func(op, name string) error {
		if missing && op == "lock" {
			return syscall.EACCES
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := mustCursor(t, l, "new")
	missing = false
	mustRoll(t, l)
	if s, ok := c.Rewound(); ok || !l.Stats().OnDisk {
		t.Errorf("rewound to %+v, stats %+v", s, l.Stats())
	}
	mustClose(t, l)
}

// Numbers that memory began with must not repeat those on disk.
func TestDirectoryComesLateWithHigherNumbers(t *testing.T) {
	dir := t.TempDir()
	writeAll(t, filepath.Join(dir, segmentName(1<<60)), appendHeader(nil, 1<<60, 0))
	missing := true
	l, err := open(dir, options(), &faultyFS{fail: func(op, name string) error {
		if missing && op == "lock" {
			return syscall.EACCES
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{log: l}
	p.put(t, "new")
	missing = false
	l.keepHouse(time.Now())
	p.put(t, "newer")
	if frames, _ := read(l, 0); len(texts(frames)) != 2 || l.Stats().OnDisk {
		t.Errorf("log %v, stats %+v: want memory only", seqs(frames), l.Stats())
	}
	l.Close()
	l = mustOpen(t, dir, options())
	mustRoll(t, l)
	if seq := mustAppend(t, l, Data, nil); seq <= 1<<60 || !l.Stats().OnDisk {
		t.Errorf("after a restart frame %d", seq)
	}
}
