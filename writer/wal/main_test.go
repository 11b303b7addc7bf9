package wal

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestMain lets the test binary be the second process of a test.
func TestMain(m *testing.M) {
	switch os.Getenv("WAL_TEST_CHILD") {
	case "append":
		childAppends(os.Getenv("WAL_TEST_DIR"))
	case "lock":
		childLocks(os.Getenv("WAL_TEST_DIR"))
	}
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// options are those of a log that never syncs by itself.
func options() Options {
	return Options{MaxSize: 64 << 20, SyncInterval: time.Hour, Logger: quiet()}
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustRoll(t testing.TB, l *Log, heads ...[]byte) {
	t.Helper()
	if err := l.Roll(heads); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, l *Log, kind Kind, payload []byte) uint64 {
	t.Helper()
	seq, err := l.Append(kind, payload)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustCursor(t testing.TB, l *Log, name string) *Cursor {
	t.Helper()
	c, err := l.Cursor(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// payload is some bytes that can be told from those of every other n.
func payload(n uint64, size int) []byte {
	r := rand.New(rand.NewPCG(n, uint64(size)))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// frame is a Frame that outlives its reader's next call.
type frame struct {
	seq     uint64
	kind    Kind
	payload string
	segment uint64
}

// read drains a new reader.
func read(l *Log, from uint64) ([]frame, Damage) {
	r := l.Reader(from)
	defer r.Close()
	return drain(r), r.Lost()
}

func drain(r *Reader) (frames []frame) {
	for f, ok := r.Next(); ok; f, ok = r.Next() {
		frames = append(frames, frame{f.Seq, f.Kind, string(f.Payload), f.Segment})
	}
	return frames
}

func seqs(frames []frame) (seqs []uint64) {
	for _, f := range frames {
		seqs = append(seqs, f.seq)
	}
	return seqs
}

// sample writes a log of two segments with heads, keys, data and an empty
// payload, closes it, and returns its frames.
func sample(t testing.TB, dir string) []frame {
	t.Helper()
	l := mustOpen(t, dir, options())
	for n := range 2 {
		mustRoll(t, l, []byte(fmt.Sprintf("head a%d", n)), []byte(fmt.Sprintf("head b%d", n)))
		mustAppend(t, l, Key, []byte("key"))
		mustAppend(t, l, Data, nil)
		mustAppend(t, l, Head, []byte("update"))
		mustAppend(t, l, Data, payload(uint64(n), 40))
		mustAppend(t, l, Data, []byte("last"))
	}
	frames, damage := read(l, 0)
	if damage != (Damage{}) || len(frames) != 20 {
		t.Fatalf("fresh log reads %d frames, damage %+v", len(frames), damage)
	}
	mustClose(t, l)
	return frames
}

// segmentFiles returns the segment files of dir, ascending.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeAll(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// dirSize is what du -b says of the files below dir.
func dirSize(t testing.TB, dir string) (n int64) {
	t.Helper()
	entries, err := osFS{}.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n += e.size
	}
	return n
}

// logged returns a logger and what it was given.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}
