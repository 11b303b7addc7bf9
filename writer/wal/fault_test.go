package wal

import (
	"context"
	"fmt"
	"slices"
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
	if s := l.Stats(); !s.OnDisk || len(l.inMemory()) > 0 {
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
