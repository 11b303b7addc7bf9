package wal

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// producer appends as the codec does: after an error it rolls and appends
// again.
type producer struct {
	log  *Log
	want []string // what Append or Roll returned nil for, and OnEvict did not give up
}

func (p *producer) put(t *testing.T, text string) {
	t.Helper()
	for range 3 {
		_, err := p.log.Append(Data, []byte(text))
		if err == nil {
			p.want = append(p.want, text)
			return
		}
		if err := p.log.Roll([][]byte{[]byte("head")}); err != nil {
			t.Fatalf("roll: %v", err)
		}
	}
	t.Fatalf("%.20q could not be appended", text)
}

// texts returns the payloads of data frames.
func texts(frames []frame) (texts []string) {
	for _, f := range frames {
		if f.kind == Data {
			texts = append(texts, f.payload)
		}
	}
	return texts
}

// Each operation fails in turn, once or for a while, in each of the usual
// ways: nothing that was appended is lost, to no reader, and the log comes
// back to the disk.
func TestEachOperationFails(t *testing.T) {
	ops := []string{"mkdir", "lock", "list", "open", "create", "inplace", "remove", "syncdir", "read", "write", "short", "late", "pwrite", "sync"}
	for _, op := range ops {
		for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			for _, times := range []int{1, 5} {
				for after := range 4 {
					t.Run(fmt.Sprintf("%s/%v/%d times after %d", op, errno, times, after), func(t *testing.T) {
						t.Parallel()
						dir := t.TempDir()
						synctest.Test(t, func(t *testing.T) { failing(t, dir, op, errno, after, times) })
					})
				}
			}
		}
	}
}

// failing runs a log whose operation op fails some times.
func failing(t *testing.T, dir, op string, errno error, after, times int) {
	old := &producer{log: mustOpen(t, dir, options())}
	before := mustCursor(t, old.log, "mimir")
	old.put(t, "old 1")
	before.Save(State{Acked: []Range{{0, old.log.End()}}})
	old.put(t, "old 2")
	mustClose(t, old.log)

	seen := 0
	faulty := &faultyFS{fail: func(o, name string) error {
		if o != op {
			return nil
		}
		if seen++; seen > after && seen <= after+times {
			return errno
		}
		return nil
	}}
	o := options()
	o.SyncInterval = 5 * time.Second
	l, err := open(dir, o, faulty)
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{log: l, want: []string{"old 2"}}
	c := mustCursor(t, l, "mimir")
	tail := l.Reader(l.End())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	var tailed []frame
	for i := range 12 {
		p.put(t, fmt.Sprintf("new %d", i))
		if i%4 == 3 {
			mustRoll(t, l, []byte("head"))
		}
		tailed = append(tailed, drain(tail)...)
		time.Sleep(7 * time.Second)
		s := c.State()
		s.InFlight = Range{1, 2}
		if err := c.Save(s); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Minute)
	tailed = append(tailed, drain(tail)...)
	if s := l.Stats(); !s.OnDisk || s.MemorySegments > 0 {
		t.Errorf("the log did not come back to the disk: %+v", s)
	}
	stop()
	<-done
	if got := texts(tailed); !slices.Equal(got[max(0, len(got)-12):], p.want[1:]) {
		t.Errorf("the reader beside the writer got %q, want %q", got, p.want)
	}
	acked := c.State().Acked
	if err := l.Close(); err != nil && op != "sync" {
		t.Errorf("close: %v", err)
	}
	verify(t, dir, acked, p.want)
}

// verify restarts and checks that all of want is there and that the cursor is
// where it was.
func verify(t *testing.T, dir string, acked []Range, want []string) {
	t.Helper()
	l := mustOpen(t, dir, options())
	c := mustCursor(t, l, "mimir")
	if got := c.State().Acked; !slices.Equal(got, acked) {
		t.Errorf("cursor at %v after the restart, %v before", got, acked)
	}
	frames, _ := read(l, 0)
	got := texts(frames)
	for _, text := range want {
		if !slices.Contains(got, text) {
			t.Errorf("%q is lost; the log has %q", text, got)
		}
	}
	if s := seqs(frames); !slices.IsSorted(s) || len(slices.Compact(s)) != len(frames) {
		t.Errorf("numbers do not rise: %v", s)
	}
	mustClose(t, l)
}

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
	if err := l.Close(); err == nil {
		t.Error("close says nothing about the frames it lost")
	}
}

// A log that began without its directory finds it later: the old frames are
// before the new ones, the cursor is where the disk says, and a state saved in
// ignorance of that acknowledges nothing old.
func TestDirectoryComesLate(t *testing.T) {
	dir := t.TempDir()
	old := mustOpen(t, dir, options())
	p := &producer{log: old}
	c := mustCursor(t, old, "mimir")
	p.put(t, "old 1")
	c.Save(State{Acked: []Range{{0, old.End()}}, Protocol: "2.0"})
	at := old.End()
	p.put(t, "old 2")
	mustClose(t, old)

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
	c = mustCursor(t, l, "mimir")
	first := l.End()
	p = &producer{log: l}
	p.put(t, "new 1")
	c.Save(State{Acked: []Range{{0, l.End()}}})
	p.put(t, "new 2")
	missing = false
	l.keepHouse(time.Now())
	end := l.End() - 1
	c.Save(State{Acked: []Range{{0, end}}})
	if got, want := c.State().Acked, []Range{{0, at}, {first, end}}; !slices.Equal(got, want) {
		t.Errorf("acknowledged %v, want %v", got, want)
	}
	frames, _ := read(l, 0)
	if got := texts(frames); !slices.Equal(got, []string{"old 1", "old 2", "new 1", "new 2"}) {
		t.Errorf("the log has %q", got)
	}
	c.Save(State{Acked: []Range{{0, end}}}) // now in knowledge
	if got := c.State().Acked; !slices.Equal(got, []Range{{0, end}}) {
		t.Errorf("acknowledged %v", got)
	}
	mustClose(t, l)
	if got := texts(reopen(t, dir)); !slices.Equal(got, []string{"old 1", "old 2", "new 1", "new 2"}) {
		t.Errorf("after a restart the log has %q", got)
	}
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

// A bad block costs the frames that lie in it, after some patience; a read
// that fails for a moment costs nothing.
func TestFailingRead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		bad := &badBlock{from: 8192, to: 12288}
		l, err := open(dir, options(), bad)
		if err != nil {
			t.Fatal(err)
		}
		mustRoll(t, l)
		for n := range uint64(40) { // some four frames a block
			mustAppend(t, l, Data, payload(n, 1000))
		}
		mustRoll(t, l)
		mustAppend(t, l, Data, []byte("next segment"))
		all, _ := read(l, 0)
		bad.broken = true
		r := l.Reader(0)
		if got := drain(r); len(got) != 0 {
			t.Errorf("at once: %v, want none of the chunk", seqs(got))
		}
		bad.broken = false
		time.Sleep(time.Second)
		if got := drain(r); !slices.Equal(got, all) {
			t.Errorf("after a second: %d frames, want all %d", len(got), len(all))
		}

		bad.broken = true
		r = l.Reader(0)
		drain(r)
		time.Sleep(2 * time.Minute)
		got := drain(r)
		lost := all[8:13] // those with a byte in the block: each has 1017 after a header of 32
		want := slices.DeleteFunc(slices.Clone(all), func(f frame) bool { return slices.Contains(lost, f) })
		if !slices.Equal(got, want) || r.Lost().Frames != uint64(len(lost)) {
			t.Errorf("a bad block leaves %v of %d, lost %+v", seqs(got), len(all), r.Lost())
		}
		mustClose(t, l)
	})
}
