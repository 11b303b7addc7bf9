package wal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func equalState(a, b State) bool {
	return slices.Equal(a.Acked, b.Acked) && a.InFlight == b.InFlight && a.Protocol == b.Protocol &&
		a.BootID == b.BootID && a.Clean == b.Clean
}

func TestCursorKeepsState(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir)
	want := State{Acked: []Range{{0, 5}, {7, 9}}, InFlight: Range{9, 12}, Protocol: "io.prometheus.write.v2.Request",
		BootID: [16]byte{1, 2, 3}, Clean: true}
	l := mustOpen(t, dir, options())
	c := mustCursor(t, l, "mimir")
	if got := c.State(); !equalState(got, State{Acked: []Range{{0, 21}}}) {
		t.Errorf("a new cursor is at %+v, want the end of the log", got)
	}
	if same := mustCursor(t, l, "mimir"); same != c {
		t.Error("the same name gives another cursor")
	}
	if _, err := l.Cursor(""); err == nil {
		t.Error("a cursor without a name")
	}
	given := want
	given.Acked = []Range{{7, 8}, {0, 3}, {8, 9}, {2, 5}, {6, 6}} // unordered, joining, empty
	if err := c.Save(given); err != nil || !equalState(c.State(), want) {
		t.Errorf("saved %+v, %v, want %+v", c.State(), err, want)
	}
	mustClose(t, l)
	l = mustOpen(t, dir, options())
	if got := mustCursor(t, l, "mimir").State(); !equalState(got, want) {
		t.Errorf("after a restart %+v, want %+v", got, want)
	}
	if got := mustCursor(t, l, "other").State(); !equalState(got, State{Acked: []Range{{0, 21}}}) {
		t.Errorf("another cursor is at %+v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, cursorName("mimir"))); err != nil || info.Size() != 2*slotSize {
		t.Errorf("cursor file: %v, %v", info.Size(), err)
	}
}

func TestCursorRefusesNonsense(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	c := mustCursor(t, l, "c")
	before := c.State()
	for name, s := range map[string]State{
		"range in flight backwards": {InFlight: Range{5, 4}},
		"number beyond reason":      {Acked: []Range{{0, 1 << 63}}},
		"protocol too long":         {Protocol: strings.Repeat("x", maxProtocol+1)},
	} {
		if err := c.Save(s); err == nil || !equalState(c.State(), before) {
			t.Errorf("%s: error %v, state %+v", name, err, c.State())
		}
	}
}

// More ranges than a slot holds: nothing is acknowledged that was not.
func TestCursorForgetsShortRanges(t *testing.T) {
	var many []Range
	for n := range uint64(40) {
		many = append(many, Range{n * 100, n*100 + 1 + n})
	}
	got := normalize(many)
	if want := many[24:]; !slices.Equal(got, want) {
		t.Errorf("kept %v, want the longest: %v", got, want)
	}
	s := slot{generation: 1, name: strings.Repeat("n", 500), state: State{Acked: got, Protocol: strings.Repeat("p", maxProtocol)}}
	back, err := decodeSlot(encodeSlot(s))
	if err != nil || !equalState(back.state, s.state) || back.name != s.name[:maxName] {
		t.Errorf("the largest slot reads as %+v, %v", back, err)
	}
}

// A new receiver that hears of nothing before the next start begins where it
// was born, not where the log ends then.
func TestNewCursorStays(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "c")
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Data, []byte("x"))
	mustClose(t, l)
	l = mustOpen(t, dir, options())
	if got := mustCursor(t, l, "c").State().Acked; !slices.Equal(got, []Range{{0, 1}}) {
		t.Errorf("after a restart at %v, want at the beginning", got)
	}
}

// Each bit of a cursor file may flip and each byte may be the last: then the
// state is the newer one, the one before, or the beginning of the log; never
// one that acknowledges more.
func TestDamagedCursor(t *testing.T) {
	old, newer := State{Acked: []Range{{0, 5}}}, State{Acked: []Range{{0, 9}}, Protocol: "p"}
	file := append(encodeSlot(slot{8, "c", old}), encodeSlot(slot{9, "c", newer})...)
	check := func(b []byte, what string) {
		s, err := decodeCursor(b)
		if err == nil && !equalState(s.state, old) && !equalState(s.state, newer) {
			t.Errorf("%s: %+v", what, s)
		}
	}
	for bit := range 8 * len(file) {
		b := bytes.Clone(file)
		b[bit/8] ^= 1 << (bit % 8)
		check(b, fmt.Sprintf("bit %d flipped", bit))
	}
	for n := range len(file) {
		check(file[:n], fmt.Sprintf("cut at %d", n))
	}
	if s, err := decodeCursor(file[:slotSize]); err != nil || !equalState(s.state, old) {
		t.Errorf("first slot only: %+v, %v", s, err)
	}
	if s, err := decodeCursor(file); err != nil || !equalState(s.state, newer) {
		t.Errorf("both slots: %+v, %v", s, err)
	}
}

// What is sent twice is better than what is lost: a cursor that cannot be
// read begins where the log does.
func TestUnreadableCursor(t *testing.T) {
	other := encodeSlot(slot{3, "somebody else", State{Acked: []Range{{0, 15}}}})
	newer := encodeSlot(slot{3, "c", State{Acked: []Range{{0, 15}}}})
	newer[8] = 2
	for name, content := range map[string][]byte{
		"empty": {}, "short": []byte("npcursor"), "zeros": make([]byte, 2*slotSize), "rubbish": bytes.Repeat([]byte("x"), 3000),
		"of another receiver": other, "of a newer version": newer,
	} {
		dir := t.TempDir()
		sample(t, dir)
		path := filepath.Join(dir, cursorName("c"))
		writeAll(t, path, content)
		l := mustOpen(t, dir, options())
		c := mustCursor(t, l, "c")
		if got := c.State().Acked; !slices.Equal(got, []Range{{0, 1}}) {
			t.Errorf("%s: at %v, want the beginning", name, got)
		}
		if err := c.Save(State{Acked: []Range{{0, 3}}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustClose(t, l)
		l = mustOpen(t, dir, options())
		if got := mustCursor(t, l, "c").State().Acked; !slices.Equal(got, []Range{{0, 3}}) {
			t.Errorf("%s: after saving and a restart at %v", name, got)
		}
		mustClose(t, l)
	}
}

// The disk refuses cursor writes, torn ones among them: the state goes on in
// memory, is counted, and reaches the disk later.
func TestCursorWriteFails(t *testing.T) {
	dir := t.TempDir()
	fail := false
	l, err := open(dir, options(), &faultyFS{fail: func(op, name string) error {
		if fail && op == "pwrite" {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := mustCursor(t, l, "c")
	c.Save(State{Acked: []Range{{0, 2}}})
	fail = true
	for to := uint64(3); to < 6; to++ {
		if err := c.Save(State{Acked: []Range{{0, to}}}); err != nil {
			t.Fatal(err)
		}
		s, err := l.readCursor(c.path)
		if err != nil || !slices.Equal(s.state.Acked, []Range{{0, 2}}) {
			t.Errorf("torn write: the disk says %+v, %v, want what was saved before", s, err)
		}
	}
	if got := c.State().Acked; !slices.Equal(got, []Range{{0, 5}}) || l.Stats().CursorErrors != 3 {
		t.Errorf("state %v, %d errors", got, l.Stats().CursorErrors)
	}
	fail = false
	l.saveDirty()
	if s, err := l.readCursor(c.path); err != nil || !slices.Equal(s.state.Acked, []Range{{0, 5}}) {
		t.Errorf("the disk says %+v, %v", s, err)
	}
	mustClose(t, l)
}

// A clean stop that is over must not be what a power cut leaves: taking it
// back is synced, again after a failure, and nothing after that is.
func TestCleanIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "c").Save(State{Acked: []Range{{0, 2}}, Clean: true})
	mustClose(t, l)
	var ops []string
	fail := true
	l, err := open(dir, options(), &faultyFS{fail: func(op, name string) error {
		if !isCursorName(name) || op != "pwrite" && op != "sync" {
			return nil
		}
		ops = append(ops, op)
		if fail && op == "sync" {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := mustCursor(t, l, "c")
	for to := uint64(3); to < 7; to++ {
		c.Save(State{Acked: []Range{{0, to}}})
		fail = false
	}
	if want := []string{"pwrite", "sync", "pwrite", "sync", "pwrite", "pwrite"}; !slices.Equal(ops, want) {
		t.Errorf("operations %v, want %v", ops, want)
	}
	mustClose(t, l)
}

// A cursor that nobody opens holds its segments for a day, so that its name can
// be given back; its numbers stay taken for ever.
func TestUnconfiguredCursor(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "removed")
	for range 3 {
		mustRoll(t, l, []byte("head"))
	}
	mustClose(t, l)
	trimmed := func(names ...string) *Log {
		l := mustOpen(t, dir, options())
		for _, name := range names {
			c := mustCursor(t, l, name)
			if name != "removed" {
				c.Save(State{Acked: []Range{{0, l.End() + 1}}})
			}
		}
		mustRoll(t, l, []byte("head"))
		l.trim()
		return l
	}
	l = trimmed("kept")
	left := l.Orphans()
	if n := l.Stats().Segments; n != 4 || len(left) != 1 || left[0].Name != "removed" || left[0].Frames != 8 {
		t.Errorf("on the same day %d segments are left and the orphans %+v, want 4, and 8 frames (each head is written twice) of the one removed", n, left)
	}
	if in := time.Until(left[0].Until); in < 23*time.Hour || in > 24*time.Hour {
		t.Errorf("they are kept for %v, want a day", in)
	}
	mustClose(t, l)
	l = trimmed("kept", "removed")
	if left := l.Orphans(); len(left) != 0 {
		t.Errorf("orphans %+v after the name came back", left)
	}
	mustClose(t, l)
	file, yesterday := filepath.Join(dir, cursorName("removed")), time.Now().Add(-25*time.Hour)
	if err := os.Chtimes(file, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	l = trimmed("kept")
	if n, left := l.Stats().Segments, l.Orphans(); n != 1 || len(left) != 0 {
		t.Errorf("a day later %d segments are left, want 1, and the orphans %+v", n, left)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("its cursor file: %v", err)
	}
	mustClose(t, l)
}
