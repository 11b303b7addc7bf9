package wal

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The cap holds over everything in the directory, and who had not passed what
// goes is told once, with what it loses.
func TestCap(t *testing.T) {
	const limit = 8 << 20
	lost := map[string][]uint64{}
	o := options()
	o.MaxSize = limit
	o.OnEvict = func(cursor string, reason Reason, frames iter.Seq[Frame]) {
		if reason != EvictSize {
			t.Errorf("reason %q", reason)
		}
		for f := range frames {
			if !f.Acked {
				lost[cursor] = append(lost[cursor], f.Seq)
			}
		}
	}
	dir := t.TempDir()
	writeAll(t, filepath.Join(dir, "foreign"), make([]byte, 1<<20))
	l := mustOpen(t, dir, o)
	slow, fast := mustCursor(t, l, "slow"), mustCursor(t, l, "fast")
	var all []uint64
	for n := range 400 {
		if n%8 == 0 {
			mustRoll(t, l, []byte("head"))
		}
		all = append(all, mustAppend(t, l, Data, payload(uint64(n), 64<<10)))
		if n == 4 {
			slow.Save(State{Acked: []Range{{0, all[3]}}})
		}
		fast.Save(State{Acked: []Range{{0, l.End()}}})
		if size := dirSize(t, dir); size > limit || size != l.Stats().Bytes {
			t.Fatalf("frame %d: %d bytes in the directory, %d in the stats, limit %d", n, size, l.Stats().Bytes, limit)
		}
	}
	held, damage := read(l, 0)
	if len(lost["fast"]) != 0 || damage != (Damage{}) {
		t.Errorf("fast lost %d, damage %+v", len(lost["fast"]), damage)
	}
	got := append(lost["slow"], seqs(held)...)
	want := []uint64{}
	for seq := all[3]; seq < l.End(); seq++ {
		want = append(want, seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lost and %d held do not make up the %d not acknowledged", len(lost["slow"]), len(held), len(want))
	}
	if len(lost["slow"]) == 0 || len(held) < 8*11 {
		t.Errorf("%d lost, %d held", len(lost["slow"]), len(held))
	}
}

// Heads and keys come along with what is lost, so that it can be counted.
func TestEvictedHeads(t *testing.T) {
	var got []Frame
	o := options()
	o.OnEvict = func(_ string, _ Reason, frames iter.Seq[Frame]) {
		for f := range frames {
			got = append(got, Frame{Seq: f.Seq, Kind: f.Kind, Acked: f.Acked})
		}
	}
	l := mustOpen(t, t.TempDir(), o)
	c := mustCursor(t, l, "c")
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Key, nil)
	mustAppend(t, l, Data, nil)
	mustAppend(t, l, Data, nil)
	c.Save(State{Acked: []Range{{0, 5}}})
	l.writing.Lock()
	err := l.evict(l.segments[0], EvictSize)
	l.writing.Unlock()
	want := []Frame{{Seq: 1, Kind: Head, Acked: true}, {Seq: 2, Kind: Head, Acked: true}, {Seq: 3, Kind: Key, Acked: true}, {Seq: 5, Kind: Data}}
	if err != nil || !slices.EqualFunc(got, want, func(a, b Frame) bool { return a.Seq == b.Seq && a.Kind == b.Kind && a.Acked == b.Acked }) {
		t.Errorf("evicted %+v, %v", got, err)
	}
}

// Other files that eat the cap look like a full disk, and frames stay in
// memory until they are gone.
func TestForeignFilesEatTheCap(t *testing.T) {
	o := options()
	var text fmt.Stringer
	o.MaxSize = 1 << 20
	o.Logger, text = logged()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "core")
	writeAll(t, foreign, make([]byte, 1<<20))
	l := mustOpen(t, dir, o)
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Data, []byte("x"))
	if s := l.Stats(); s.OnDisk || len(l.inMemory()) != 1 {
		t.Errorf("stats %+v, want one segment in memory", s)
	}
	if !strings.Contains(text.String(), "by files that are not segments") {
		t.Errorf("log does not say why:\n%s", text)
	}
	os.Remove(foreign)
	l.keepHouse(time.Now())
	mustAppend(t, l, Data, []byte("y"))
	if s := l.Stats(); !s.OnDisk || len(l.inMemory()) != 0 {
		t.Errorf("stats %+v, want everything on disk", s)
	}
	mustClose(t, l)
	if got := reopen(t, dir); len(got) != 4 {
		t.Errorf("after a restart %v", seqs(got))
	}
}

// What was counted as lost must not come back after a power cut: the directory
// is synced after the unlink. What was passed may come back.
func TestEvictionIsSynced(t *testing.T) {
	var ops []string
	l, err := open(t.TempDir(), options(), &faultyFS{fail: func(op, name string) error {
		if op == "remove" || op == "syncdir" {
			ops = append(ops, op)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := mustCursor(t, l, "c")
	for range 3 {
		mustRoll(t, l, []byte("head"))
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	ops = nil
	l.writing.Lock()
	err = l.evict(l.segments[0], EvictSize)
	l.writing.Unlock()
	if err != nil || !slices.Equal(ops, []string{"remove", "syncdir"}) {
		t.Errorf("evicted by %v, %v", ops, err)
	}
	ops = nil
	c.Save(State{Acked: []Range{{0, l.End()}}})
	l.trim()
	if !slices.Equal(ops, []string{"remove"}) {
		t.Errorf("trimmed by %v", ops)
	}
}

// Without Run nothing goes; with it, what all cursors have passed does, never
// the active segment; a reader inside a passed segment reads on.
func TestTrim(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	a, b := mustCursor(t, l, "a"), mustCursor(t, l, "b")
	for n := range 5 {
		mustRoll(t, l, []byte("head"))
		mustAppend(t, l, Data, []byte{byte(n)})
	}
	inside := l.Reader(0)
	inside.Next()
	a.Save(State{Acked: []Range{{0, l.End()}}})
	b.Save(State{Acked: []Range{{0, 8}}}) // two segments of three frames, and a half
	l.trim()
	if n := l.Stats().Segments; n != 3 {
		t.Errorf("%d segments, want 3", n)
	}
	if got := seqs(drain(inside)); !slices.Equal(got[:2], []uint64{2, 3}) || got[len(got)-1] != 15 {
		t.Errorf("reader inside got %v", got)
	}
	b.Save(State{Acked: []Range{{0, l.End()}}})
	l.trim()
	if s := l.Stats(); s.Segments != 1 || s.Syncs == 0 {
		t.Errorf("%d segments and %d syncs, want the active one, synced before the others went", s.Segments, s.Syncs)
	}
	mustAppend(t, l, Data, nil)
}

func TestTrimWithoutCursor(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	for range 5 {
		mustRoll(t, l, []byte("head"))
	}
	l.trim()
	if n := l.Stats().Segments; n != 2 {
		t.Errorf("%d segments, want the active and the one before", n)
	}
}

// The last presence is read back between Open and Roll: nothing may go then,
// passed or old.
func TestNothingGoesBeforeRoll(t *testing.T) {
	dir, o := t.TempDir(), options()
	all := sample(t, dir)
	for _, file := range segmentFiles(t, dir) {
		old := time.Now().Add(-24 * time.Hour)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	o.MaxAge = time.Hour
	l := mustOpen(t, dir, o)
	c := mustCursor(t, l, "c")
	c.Save(State{Acked: []Range{{0, l.End()}}})
	l.keepHouse(time.Now())
	if got, _ := read(l, 0); !slices.Equal(got, all) {
		t.Errorf("before Roll %v", seqs(got))
	}
	mustRoll(t, l)
	l.keepHouse(time.Now())
	if n := l.Stats().Segments; n != 1 {
		t.Errorf("after Roll %d segments, want the old ones to go", n)
	}
}

func TestMaxAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var aged atomic.Int64
		o := options()
		o.MaxAge = time.Hour
		o.OnEvict = func(_ string, reason Reason, frames iter.Seq[Frame]) {
			if reason == EvictAge {
				aged.Add(1)
			}
		}
		l := mustOpen(t, dir, o)
		mustCursor(t, l, "c")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		for range 3 {
			mustRoll(t, l, []byte("head"))
			time.Sleep(25 * time.Minute)
		}
		synctest.Wait()
		if n := l.Stats().Segments; n != 2 || aged.Load() != 1 {
			t.Errorf("%d segments, evicted %d", n, aged.Load())
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := l.Stats().Segments; n != 1 || aged.Load() != 2 {
			t.Errorf("%d segments, evicted %d: want the active one to stay", n, aged.Load())
		}
		stop()
		<-done
		mustClose(t, l)
	})
}
