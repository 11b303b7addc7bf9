package collector

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var r reader
	for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1 << 20, maxFile} {
		if err := os.WriteFile(path, []byte("begin"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(size)); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, size)
		copy(want, "begin")
		got, err := r.read(fileAt(path))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("size %d: got %d bytes, %v", size, len(got), err)
		}
	}
}

// A file without end must not fill the memory.
func TestReadHuge(t *testing.T) {
	var r reader
	_, err := r.read(fileAt("/dev/zero"))
	if !errors.Is(err, errHuge) || err.Error() != "read /dev/zero: larger than 16 MiB" {
		t.Errorf("got %v", err)
	}
	if limit := 2*maxFile + 64<<10; len(r.buf) > limit {
		t.Errorf("buffer of %d bytes, want at most %d", len(r.buf), limit)
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var r reader
	for _, path := range []string{filepath.Join(dir, "none"), filepath.Join(plain, "below")} {
		if _, err := r.read(fileAt(path)); err != errAbsent || unlessAbsent(err) != nil || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("read(%s): got %v, want errAbsent", path, err)
		}
	}
	_, err := r.read(fileAt(dir))
	var pathError *fs.PathError
	if !errors.As(err, &pathError) || pathError.Path != dir || unlessAbsent(err) == nil {
		t.Errorf("read of a directory: got %v", err)
	}
}

// The kernel ends reads at its own page borders.
func TestReadOfLongKernelFile(t *testing.T) {
	var r reader
	got, err := r.read(fileAt("/proc/kallsyms"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("/proc/kallsyms")
	if err != nil || len(got) == 0 {
		t.Fatal(err)
	}
	if len(want)-len(got) > 4096 { // modules may come and go
		t.Errorf("read %d bytes, os.ReadFile %d", len(got), len(want))
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	var r reader
	there, absent := fileAt("/proc/self/stat"), fileAt("/proc/self/none")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.read(there); err != nil {
			t.Error(err)
		}
		if _, err := r.read(absent); err != errAbsent {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for two files, want none", n)
	}
}

func TestReadTellsOfFiles(t *testing.T) {
	var got []string
	r := reader{opened: func(path string) { got = append(got, path) }}
	_, _ = r.read(fileAt("/proc/self/none"))
	_, _ = r.read(fileAt("/proc/self/stat"))
	if want := []string{"/proc/self/none", "/proc/self/stat"}; !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}

func TestNumbered(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cpu10", "cpu2", "cpu0", "cpufreq", "cpu", "cpu01", "cpu-1", "xcpu3"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := numbered(dir, "cpu"); !slices.Equal(got, []int{0, 2, 10}) {
		t.Errorf("got %v", got)
	}
	if got := numbered(filepath.Join(dir, "none"), "cpu"); got != nil {
		t.Errorf("without a directory: got %v", got)
	}
}
