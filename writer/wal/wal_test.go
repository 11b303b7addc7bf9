package wal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"tiny size":    {MaxSize: 10},
		"negative":     {MaxSize: -1},
		"age":          {MaxAge: -1},
		"interval":     {SyncInterval: -1},
		"memory limit": {MemoryLimit: -1},
	} {
		if l, err := Open(t.TempDir(), o); err == nil {
			l.Close()
			t.Errorf("%s: %+v is accepted", name, o)
		}
	}
	o, err := Options{}.withDefaults()
	if err != nil || o.MaxSize != 256<<20 || o.MemoryLimit != 16<<20 || o.Logger == nil {
		t.Errorf("defaults %+v, error %v", o, err)
	}
	if o, _ := (Options{MaxSize: 1 << 20}).withDefaults(); o.MemoryLimit != 1<<20 {
		t.Errorf("memory limit %d under a cap of 1 MiB", o.MemoryLimit)
	}
}

func TestAppendAndRead(t *testing.T) {
	dir := t.TempDir()
	all := sample(t, dir)
	kinds := []Kind{Head, Head, Head, Head, Key, Data, Head, Head, Data, Data}
	payloads := []string{"head a0", "head b0", "head a0", "head b0", "key", "", "update", "update"}
	for i, f := range all {
		if f.seq != uint64(i+1) || f.kind != kinds[i%10] || f.segment != uint64(i/10*10+1) {
			t.Errorf("frame %d is %+v", i, f)
		}
	}
	for i, want := range payloads {
		if all[i].payload != want {
			t.Errorf("frame %d has %q, want %q", i+1, all[i].payload, want)
		}
	}
	if got := reopen(t, dir); !slices.Equal(got, all) {
		t.Errorf("after a restart %v, want %v", seqs(got), seqs(all))
	}
	info, err := os.Stat(segmentFiles(t, dir)[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("segment mode %v, %v", info.Mode(), err)
	}
}

func TestAppendRefuses(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	if _, err := l.Append(Data, nil); !errors.Is(err, ErrNoSegment) {
		t.Errorf("append before roll: %v", err)
	}
	mustRoll(t, l)
	if _, err := l.Append(Data, make([]byte, maxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("17 MiB: %v", err)
	}
	if _, err := l.Append(7, nil); err == nil {
		t.Error("kind 7 is accepted")
	}
	if err := l.Roll([][]byte{make([]byte, maxPayload+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("head of 17 MiB: %v", err)
	}
	seq := mustAppend(t, l, Head, make([]byte, maxPayload))
	if got, _ := read(l, 0); len(got) != 2 || got[1].seq != seq+1 || len(got[1].payload) != maxPayload {
		t.Errorf("the largest head reads as %v", seqs(got))
	}
	mustClose(t, l)
	if _, err := l.Append(Data, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if err := l.Roll(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("roll after close: %v", err)
	}
}

// Segments without frames do not take each other's names.
func TestRollTwice(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	for range 3 {
		mustRoll(t, l)
	}
	if s := l.Stats(); s.Segments != 3 || s.MemorySegments != 0 {
		t.Errorf("stats %+v, want 3 segments on disk", s)
	}
	mustClose(t, l)
	l = mustOpen(t, dir, options())
	mustRoll(t, l)
	mustAppend(t, l, Data, []byte("x"))
	if got, damage := read(l, 0); len(got) != 1 || damage != (Damage{}) || l.Stats().MemorySegments != 0 {
		t.Errorf("got %v, damage %+v", seqs(got), damage)
	}
}

func TestReaderFrom(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir) // segments 1 to 10 and 11 to 20
	l := mustOpen(t, dir, options())
	mustRoll(t, l, []byte("head")) // 21
	for from, want := range map[uint64]uint64{0: 1, 1: 1, 10: 1, 11: 11, 15: 11, 20: 11, 21: 21, 22: 21, 1000: 21} {
		if got, _ := read(l, from); len(got) == 0 || got[0].seq != want {
			t.Errorf("from %d: %v, want to begin with %d", from, seqs(got), want)
		}
	}
}

// A reader at the end sees each append at once, over segments, for one pread.
func TestTail(t *testing.T) {
	counting := &countingFS{}
	l, err := open(t.TempDir(), options(), counting)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := l.Reader(0)
	if _, ok := r.Next(); ok {
		t.Fatal("an empty log has a frame")
	}
	mustRoll(t, l, []byte("head"))
	drain(r)
	counting.reads.Store(0)
	for n := range uint64(100) {
		changed := l.Changed()
		if _, ok := r.Next(); ok {
			t.Fatal("frame out of nowhere")
		}
		seq := mustAppend(t, l, Data, payload(n, 1000))
		select {
		case <-changed:
		default:
			t.Fatal("the append was not announced")
		}
		if f, ok := r.Next(); !ok || f.Seq != seq || string(f.Payload) != string(payload(n, 1000)) {
			t.Fatalf("append %d: %v, frame %d", seq, ok, f.Seq)
		}
	}
	if n := counting.reads.Load(); n > 100 {
		t.Errorf("%d reads for 100 frames", n)
	}
	mustRoll(t, l, []byte("next"))
	if got := drain(r); len(got) != 2 || got[0].payload != "next" {
		t.Errorf("after a roll: %v", got)
	}
}

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
	if n := l.Stats().Evicted[EvictSize]; n == 0 || len(held) < 8*11 {
		t.Errorf("%d evicted, %d held", n, len(held))
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
	if s := l.Stats(); s.OnDisk || s.MemorySegments != 1 {
		t.Errorf("stats %+v, want one segment in memory", s)
	}
	if !strings.Contains(text.String(), "by files that are not segments") {
		t.Errorf("log does not say why:\n%s", text)
	}
	os.Remove(foreign)
	l.keepHouse(time.Now())
	mustAppend(t, l, Data, []byte("y"))
	if s := l.Stats(); !s.OnDisk || s.MemorySegments != 0 {
		t.Errorf("stats %+v, want everything on disk", s)
	}
	mustClose(t, l)
	if got := reopen(t, dir); len(got) != 4 {
		t.Errorf("after a restart %v", seqs(got))
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

// The last presence is read back between Open and Roll: nothing may go then.
func TestNothingGoesBeforeRoll(t *testing.T) {
	dir := t.TempDir()
	all := sample(t, dir)
	l := mustOpen(t, dir, options())
	c := mustCursor(t, l, "c")
	c.Save(State{Acked: []Range{{0, l.End()}}})
	l.keepHouse(time.Now())
	if got, _ := read(l, 0); !slices.Equal(got, all) {
		t.Errorf("before Roll %v", seqs(got))
	}
}

func TestMaxAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		reasons := map[Reason]int{}
		o := options()
		o.MaxAge = time.Hour
		o.OnEvict = func(_ string, reason Reason, frames iter.Seq[Frame]) { reasons[reason]++ }
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
		if n := l.Stats().Segments; n != 2 || reasons[EvictAge] != 1 || l.Stats().Evicted[EvictAge] != 1 {
			t.Errorf("%d segments, evicted %v", n, reasons)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := l.Stats().Segments; n != 1 || reasons[EvictAge] != 2 {
			t.Errorf("%d segments, evicted %v: want the active one to stay", n, reasons)
		}
		stop()
		<-done
		mustClose(t, l)
	})
}

// Two readers, a cursor and Run beside the writer.
func TestConcurrent(t *testing.T) {
	o := options()
	o.MaxSize, o.SyncInterval = 4<<20, time.Millisecond
	l := mustOpen(t, t.TempDir(), o)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	const frames = 3000
	for i := range 2 {
		c := mustCursor(t, l, fmt.Sprint("c", i))
		r := l.Reader(0)
		wg.Go(func() {
			last := uint64(0)
			for {
				changed := l.Changed()
				for f, ok := r.Next(); ok; f, ok = r.Next() {
					if f.Seq <= last {
						t.Errorf("frame %d after %d", f.Seq, last)
					}
					last = f.Seq
					if last%64 == 0 {
						c.Save(State{Acked: []Range{{0, last + 1}}})
					}
					if f.Kind == Key {
						return
					}
				}
				<-changed
			}
		})
	}
	for n := range uint64(frames) {
		if n%200 == 0 {
			mustRoll(t, l, []byte("head"))
		}
		mustAppend(t, l, Data, payload(n%16, 700))
		l.Stats()
	}
	mustAppend(t, l, Key, []byte("end"))
	time.AfterFunc(0, stop)
	wg.Wait()
	if d := l.Stats().Damage; d != (Damage{}) {
		t.Errorf("damage %+v", d)
	}
}

// Append and Next allocate nothing once their buffers have grown.
func TestAllocations(t *testing.T) {
	l := mustOpen(t, t.TempDir(), options())
	mustRoll(t, l, []byte("head"))
	r, b := l.Reader(0), payload(1, 1000)
	for range 2000 {
		mustAppend(t, l, Data, b)
		r.Next()
	}
	if n := testing.AllocsPerRun(500, func() { l.Append(Data, b); r.Next() }); n > 0 {
		t.Errorf("%.1f allocations for an append and a read", n)
	}
}
