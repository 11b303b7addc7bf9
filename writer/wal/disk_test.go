package wal

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tmpfs mounts a small disk of its own.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") == "" { // CI must not miss it
		t.Skip("a real full disk needs root, to mount a tmpfs")
	}
	dir := t.TempDir()
	if err := unix.Mount("wal-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a small tmpfs, which takes root: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// A disk that others fill: frames stay in memory, nothing is lost, and with
// room they go to the disk.
func TestDiskFull(t *testing.T) {
	disk := tmpfs(t, "4m")
	dir := filepath.Join(disk, "wal")
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "c")
	p := &producer{log: l}
	fill := filepath.Join(disk, "fill")
	for n := range 3000 { // 3 MB; the disk is full at about a third
		if n == 300 {
			writeAll(t, fill, make([]byte, 2<<20))
		}
		p.put(t, fmt.Sprintf("%04d%s", n, strings.Repeat("x", 1000)))
	}
	if s := l.Stats(); s.OnDisk || len(l.inMemory()) == 0 || s.AppendErrors == 0 {
		t.Errorf("stats %+v, want frames in memory", s)
	}
	frames, _ := read(l, 0)
	if !slices.Equal(texts(frames), p.want) {
		t.Errorf("%d of %d frames while the disk is full", len(texts(frames)), len(p.want))
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	l.keepHouse(time.Now())
	p.put(t, "after")
	if s := l.Stats(); !s.OnDisk || len(l.inMemory()) != 0 {
		t.Errorf("stats %+v, want everything on disk", s)
	}
	mustClose(t, l)
	if got := texts(reopen(t, dir)); !slices.Equal(slices.Compact(got), p.want) {
		t.Errorf("%d of %d frames after a restart", len(got), len(p.want))
	}
}

// A disk mounted read-only under the log, and writable again later.
func TestReadOnlyDisk(t *testing.T) {
	disk := tmpfs(t, "4m")
	dir := filepath.Join(disk, "wal")
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "c")
	p := &producer{log: l}
	p.put(t, "before")
	mustClose(t, l)
	remount(t, disk, unix.MS_RDONLY)
	l = mustOpen(t, dir, options())
	p.log = l
	c := mustCursor(t, l, "c")
	p.put(t, "in memory")
	if s := l.Stats(); s.OnDisk || len(l.inMemory()) != 1 {
		t.Errorf("stats %+v, want a segment in memory", s)
	}
	c.Save(State{Acked: []Range{{0, 2}}})
	if frames, _ := read(l, 0); !slices.Equal(texts(frames), p.want) {
		t.Errorf("log has %q, want %q", texts(frames), p.want)
	}
	remount(t, disk, 0)
	l.keepHouse(time.Now())
	p.put(t, "after")
	mustClose(t, l)
	if got := texts(reopen(t, dir)); !slices.Equal(got, p.want) {
		t.Errorf("after a restart %q, want %q", got, p.want)
	}
}

func remount(t *testing.T, disk string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// A path that cannot be a directory: the log runs in memory and says why.
func TestImpossibleDirectory(t *testing.T) {
	blocker := filepath.Join(t.TempDir(), "file")
	writeAll(t, blocker, nil)
	o := options()
	var text fmt.Stringer
	o.Logger, text = logged()
	l := mustOpen(t, filepath.Join(blocker, "wal"), o)
	p := &producer{log: l}
	c := mustCursor(t, l, "c")
	p.put(t, "a")
	if err := c.Save(State{Acked: []Range{{0, l.End()}}}); err != nil {
		t.Fatal(err)
	}
	p.put(t, "b")
	if frames, _ := read(l, 0); !slices.Equal(texts(frames), p.want) {
		t.Errorf("log has %q", texts(frames))
	}
	if !strings.Contains(text.String(), blocker) {
		t.Errorf("log does not name the directory:\n%s", text)
	}
	os.Remove(blocker)
	l.keepHouse(time.Now())
	if !l.Stats().OnDisk {
		t.Error("the directory is possible now, the log is not in it")
	}
	mustClose(t, l)
	if got := texts(reopen(t, filepath.Join(blocker, "wal"))); !slices.Equal(got, p.want) {
		t.Errorf("after a restart %q", got)
	}
}

// A locked directory stays locked when a log in memory tries it later.
func TestLockedLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	writeAll(t, dir, nil)
	l := mustOpen(t, dir, options())
	os.Remove(dir)
	holder := mustOpen(t, dir, options())
	p := &producer{log: l}
	p.put(t, "a")
	l.keepHouse(time.Now())
	if l.Stats().OnDisk {
		t.Error("the log took a locked directory over")
	}
	mustClose(t, holder)
	l.keepHouse(time.Now())
	if !l.Stats().OnDisk {
		t.Error("the log did not take a free directory over")
	}
}

// Readers leave an evicted segment at once and go on with the next.
func TestEvictedUnderReader(t *testing.T) {
	o := options()
	o.OnEvict = func(string, Reason, iter.Seq[Frame]) {}
	l := mustOpen(t, t.TempDir(), o)
	for n := range uint64(3) {
		mustRoll(t, l, []byte("head"))
		for range 10 {
			mustAppend(t, l, Data, payload(n, 50<<10))
		}
	}
	r := l.Reader(0)
	for range 3 {
		r.Next()
	}
	l.writing.Lock()
	err := l.evict(l.segments[0], EvictSize)
	l.writing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	got := seqs(drain(r))
	if got[len(got)-1] != 36 || !slices.Contains(got, 13) || slices.Contains(got, 12) || r.Lost() != (Damage{}) {
		t.Errorf("got %v, lost %+v, want the frames from 13 on", got, r.Lost())
	}
	os.Remove(l.segments[0].path) // by somebody else
	r = l.Reader(0)
	if got := seqs(drain(r)); len(got) != 12 || r.Lost().Bytes == 0 {
		t.Errorf("a file that is gone: %v, lost %+v", got, r.Lost())
	}
}
