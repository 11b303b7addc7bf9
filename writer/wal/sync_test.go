package wal

import (
	"context"
	"errors"
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

// While every frame is acknowledged in time there is no sync; one that is not
// is synced once, with its directory, and nothing after that.
func TestSyncPolicy(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		syncs := map[string]int{}
		o := options()
		o.SyncInterval = 5 * time.Second
		l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
			if op == "sync" || op == "syncdir" {
				syncs[op]++
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		c := mustCursor(t, l, "c")
		clear(syncs) // of the new cursor
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		mustRoll(t, l, []byte("head"))
		for range 20 {
			mustAppend(t, l, Data, nil)
			time.Sleep(4 * time.Second)
			c.Save(State{Acked: []Range{{0, l.End()}}})
			time.Sleep(11 * time.Second)
		}
		synctest.Wait()
		if len(syncs) > 0 {
			t.Errorf("healthy link: %v", syncs)
		}
		mustAppend(t, l, Data, nil)
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if syncs["sync"] != 1 || syncs["syncdir"] == 0 || l.Stats().Syncs != 1 {
			t.Errorf("unacknowledged for the interval: %v", syncs)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if syncs["sync"] != 1 {
			t.Errorf("nothing new: %v", syncs)
		}
		dirs := syncs["syncdir"]
		mustAppend(t, l, Data, nil)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if syncs["sync"] != 2 || syncs["syncdir"] != dirs {
			t.Errorf("the same segment again: %v, want no more than %d of the directory", syncs, dirs)
		}
		stop()
		<-done
		mustClose(t, l)
	})
}

// Sync interval 0: durable before Append returns.
func TestSyncEach(t *testing.T) {
	o := options()
	o.SyncInterval = 0
	fail := false
	l, err := open(t.TempDir(), o, &faultyFS{fail: func(op, name string) error {
		if fail && op == "sync" {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Data, []byte("a"))
	if n := l.Stats().Syncs; n != 2 {
		t.Errorf("%d syncs, want one for the roll and one for the frame", n)
	}
	fail = true
	if _, err := l.Append(Data, []byte("b")); !errors.Is(err, syscall.EIO) {
		t.Errorf("append with a failing sync: %v", err)
	}
	fail = false
	if _, err := l.Append(Data, []byte("b")); !errors.Is(err, ErrNoSegment) {
		t.Errorf("append to a retired segment: %v", err)
	}
	mustRoll(t, l, []byte("head"))
	mustAppend(t, l, Data, []byte("c"))
	if frames, _ := read(l, 0); !slices.Equal(texts(frames), []string{"a", "c"}) {
		t.Errorf("log has %q", texts(frames))
	}
}

// A failed sync retires the segment; its bytes are written anew and made
// durable, under a reader that is in it.
func TestRescue(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.SyncInterval = 5 * time.Second
		var ops []string
		failures := 1
		l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
			if strings.Contains(name, ".wal") && (op == "sync" || op == "rename") {
				ops = append(ops, op)
				if failures--; failures >= 0 {
					return syscall.EIO
				}
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		mustCursor(t, l, "c")
		p := &producer{log: l}
		p.put(t, "a")
		r := l.Reader(0)
		r.Next()
		before := readAll(t, segmentFiles(t, dir)[0])
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		p.put(t, "b")
		if want := []string{"sync", "sync", "rename"}; !slices.Equal(ops, want) {
			t.Errorf("operations %v, want %v", ops, want)
		}
		if got := readAll(t, segmentFiles(t, dir)[0]); string(got) != string(before) {
			t.Errorf("rewritten as %d bytes, want the same %d", len(got), len(before))
		}
		if got := texts(drain(r)); !slices.Equal(got, p.want) {
			t.Errorf("reader got %q, want %q", got, p.want)
		}
		stop()
		<-done
		mustClose(t, l)
	})
	if files, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

// Making room for the copy may evict the very segment: then it stays away.
func TestRescueOfWhatIsEvicted(t *testing.T) {
	dir, o := t.TempDir(), options()
	o.MaxSize = 1 << 20
	lost := 0
	o.OnEvict = func(string, Reason, iter.Seq[Frame]) { lost++ }
	bad := segmentName(1)
	l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
		if op == "sync" && name == bad {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustCursor(t, l, "c")
	p := &producer{log: l}
	for range 3 {
		mustRoll(t, l, []byte("head"))
		p.put(t, strings.Repeat("x", 300<<10))
	}
	if err := l.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	l.keepHouse(time.Now())
	if files := segmentFiles(t, dir); len(files) != 2 || filepath.Base(files[0]) == bad || lost != 1 {
		t.Errorf("files %v, told %d times, want the first one lost", files, lost)
	}
	if s := l.Stats(); s.Bytes != dirSize(t, dir) || s.MemoryBytes != 0 {
		t.Errorf("stats %+v, %d bytes in the directory", s, dirSize(t, dir))
	}
	mustClose(t, l)
}

// What the kernel has forgotten already is not written over what it kept.
func TestRescueComesTooLate(t *testing.T) {
	dir, o := t.TempDir(), options()
	var text fmt.Stringer
	o.Logger, text = logged()
	fail := true
	l, err := open(dir, o, &faultyFS{fail: func(op, name string) error {
		if fail && op == "sync" && strings.HasSuffix(name, suffix) {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{log: l}
	p.put(t, "kept")
	p.put(t, "forgotten")
	if err := l.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	fail = false
	path := segmentFiles(t, dir)[0]
	b := readAll(t, path)
	clear(b[len(b)-9:])
	writeAll(t, path, b)
	l.keepHouse(time.Now())
	if got := readAll(t, path); string(got) != string(b) || len(l.inMemory()) != 0 {
		t.Errorf("the file was changed, stats %+v", l.Stats())
	}
	if !strings.Contains(text.String(), "will not outlive a power cut") {
		t.Errorf("log says nothing:\n%s", text)
	}
	mustRoll(t, l)
	if frames, damage := read(l, 0); !slices.Equal(texts(frames), []string{"kept"}) || damage.Frames != 1 {
		t.Errorf("log has %q, damage %+v", texts(frames), damage)
	}
	mustClose(t, l)
}
