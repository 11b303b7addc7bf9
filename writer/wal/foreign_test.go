package wal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is no regular file but has the name of one of ours delays nothing and is left as it is.
func TestForeignFilesAreNotFollowed(t *testing.T) {
	dir, precious := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0000000000000001.cursor", cursorName("fifo")} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(precious, filepath.Join(dir, cursorName("link"))); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fifo", "link"} {
		c, err := l.Cursor(name)
		if err == nil {
			err = c.Save(State{Acked: []Range{{0, 7}}})
		}
		if err != nil {
			t.Errorf("cursor %s: %v", name, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(precious); string(text) != "text" {
		t.Errorf("the file that links point to holds %q, %v", text, err)
	}
}
