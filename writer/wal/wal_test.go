package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
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
	if s := l.Stats(); s.Segments != 3 || len(l.inMemory()) != 0 {
		t.Errorf("stats %+v, want 3 segments on disk", s)
	}
	mustClose(t, l)
	l = mustOpen(t, dir, options())
	mustRoll(t, l)
	mustAppend(t, l, Data, []byte("x"))
	if got, damage := read(l, 0); len(got) != 1 || damage != (Damage{}) || len(l.inMemory()) != 0 {
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
