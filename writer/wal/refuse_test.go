package wal

import (
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusing opens a log whose operations in ops fail.
func refusing(t *testing.T, dir string, o Options, ops map[string]bool) *Log {
	t.Helper()
	l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
		if ops[op] && strings.Contains(name, suffix) {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A write that fails halfway shows nothing, ends the segment, and its bytes
// still count.
func TestAppendFails(t *testing.T) {
	dir, ops := t.TempDir(), map[string]bool{}
	l := refusing(t, dir, options(), ops)
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Data, []byte("a"))
	size, r := l.Size(), l.Reader(0)
	before := drain(r)
	ops["short"] = true
	if _, err := l.Append(Data, make([]byte, 1000)); !errors.Is(err, syscall.EIO) {
		t.Errorf("append: %v", err)
	}
	ops["short"] = false
	if _, err := l.Append(Data, nil); !errors.Is(err, ErrNoSegment) {
		t.Errorf("append to a retired segment: %v", err)
	}
	if got := drain(r); len(got) != 0 || l.Size() != 0 || len(before) != 3 {
		t.Errorf("after the failure frames %v, size %d (was %d)", seqs(got), l.Size(), size)
	}
	if s := l.Stats(); s.Bytes != dirSize(t, dir) || s.AppendErrors != 1 {
		t.Errorf("stats %+v, %d bytes in the directory", s, dirSize(t, dir))
	}
	mustRoll(t, l, []byte("head"))
	if got := drain(r); len(got) != 2 || r.Lost() != (Damage{}) {
		t.Errorf("after a roll %v, lost %+v", seqs(got), r.Lost())
	}
}

// A roll that the disk refuses leaves no file behind.
func TestRollFails(t *testing.T) {
	dir, ops := t.TempDir(), map[string]bool{"short": true}
	l := refusing(t, dir, options(), ops)
	mustRoll(t, l, []byte("head"))
	if files := segmentFiles(t, dir); len(files) != 0 || len(l.inMemory()) != 1 {
		t.Errorf("files %v, stats %+v", files, l.Stats())
	}
	mustAppend(t, l, Data, []byte("a"))

	// Now not even the rest of a try can be removed.
	ops["remove"] = true
	l.keepHouse(time.Now())
	if files := segmentFiles(t, dir); len(files) != 1 {
		t.Errorf("files %v, want the rest of a try", files)
	}
	l.keepHouse(time.Now())
	clear(ops)
	l.keepHouse(time.Now())
	mustAppend(t, l, Data, []byte("b"))
	if s := l.Stats(); len(l.inMemory()) != 0 || !s.OnDisk || s.Bytes != dirSize(t, dir) {
		t.Errorf("stats %+v, %d bytes in the directory", s, dirSize(t, dir))
	}
	mustClose(t, l)
	if got := texts(reopen(t, dir)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a restart %q", got)
	}
}

// A segment that cannot be deleted is told about once and read no more, by
// readers within it neither; meanwhile the cap makes the disk a full one.
func TestEvictionFails(t *testing.T) {
	told := 0
	lost := map[Kind]int{}
	o := options()
	o.MaxSize = 1 << 20
	o.OnEvict = func(_ string, _ Reason, frames iter.Seq[Frame]) {
		told++
		for f := range frames {
			lost[f.Kind]++
		}
	}
	dir, ops := t.TempDir(), map[string]bool{"remove": true}
	l := refusing(t, dir, o, ops)
	mustCursor(t, l, "c")
	p := &producer{log: l}
	inside := l.Reader(0)
	for i := range 30 {
		mustRoll(t, l, []byte("head"))
		p.put(t, strings.Repeat("x", 50<<10))
		if i == 0 {
			inside.Next() // and the rest of the segment is in its buffer
		}
		if n := dirSize(t, dir); n > o.MaxSize {
			t.Fatalf("%d bytes in the directory", n)
		}
	}
	if s := l.Stats(); told != 1 || len(l.inMemory()) == 0 || lost[Head] != 2 || lost[Data] != 1 {
		t.Errorf("told %d times of %v, stats %+v", told, lost, s)
	}
	if frames, _ := read(l, 0); frames[0].seq != 4 || len(texts(frames)) != 29 {
		t.Errorf("a new reader has %d frames from %d on, want what is not lost", len(frames), frames[0].seq)
	}
	if got := drain(inside); got[0].seq != 4 {
		t.Errorf("the reader inside went on with %d, want the next segment's first", got[0].seq)
	}
	clear(ops)
	l.keepHouse(time.Now())
	if s := l.Stats(); len(l.inMemory()) != 0 || told != lost[Data] || s.Bytes != dirSize(t, dir) || s.Bytes > o.MaxSize {
		t.Errorf("told %d times, stats %+v", told, s)
	}
	if frames, _ := read(l, 0); lost[Data]+len(texts(frames)) != 30 {
		t.Errorf("%d lost and %d held do not make up 30", lost[Data], len(texts(frames)))
	}
}

// A file that cannot be opened is waited for, however long; no frame of it is
// given up.
func TestOpenFailsLong(t *testing.T) {
	ops := map[string]bool{}
	l := refusing(t, t.TempDir(), options(), ops)
	p := &producer{log: l}
	p.put(t, "a")
	ops["open"] = true
	r := l.Reader(0)
	for range 3 {
		if got := drain(r); len(got) != 0 {
			t.Fatalf("read %v", seqs(got))
		}
		r.failing = time.Now().Add(-24 * time.Hour)
	}
	clear(ops)
	if got := texts(drain(r)); !slices.Equal(got, []string{"a"}) || r.Lost() != (Damage{}) {
		t.Errorf("read %q, lost %+v", got, r.Lost())
	}
}

// A cursor that cannot be read at Open, but a moment later, still hides no new
// frame.
func TestCursorReadFailsAtOpen(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "c").Save(State{Acked: []Range{{0, 1000}}})
	mustClose(t, l)
	fail := true
	l, err := open(dir, options(), &faultyFS{fail: func(op, name string) error {
		if fail && op == "read" && isCursorName(name) {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fail = false
	mustRoll(t, l)
	mustCursor(t, l, "c")
	p := &producer{log: l}
	p.put(t, "a")
	if frames, damage := read(l, 0); l.End() <= 1000 || len(texts(frames)) != 1 || damage != (Damage{}) {
		t.Errorf("numbers %v, damage %+v", seqs(frames), damage)
	}
}

// The two slots take turns, so that a torn write costs one save.
func TestSlotsTakeTurns(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	c := mustCursor(t, l, "c")
	for n := uint64(2); n < 8; n++ {
		c.Save(State{Acked: []Range{{0, n}}})
		b, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		even, err1 := decodeSlot(b[:slotSize])
		odd, err2 := decodeSlot(b[slotSize:])
		if err := errors.Join(err1, err2); err != nil || even.generation/2*2 != even.generation && n > 2 || max(even.generation, odd.generation) != n {
			t.Errorf("save %d: generations %d and %d, %v", n, even.generation, odd.generation, err)
		}
	}
}
