package agent

import (
	"os"
	"syscall"
	"testing"
)

// A file that an attacker put in the place of a small one costs neither memory
// nor time.
func TestReadSmall(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "text")
	if err := syscall.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", dir+"/endless"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/huge", make([]byte, 3*maxSmall), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		size int
		ok   bool
	}{{"file", 4, true}, {"huge", maxSmall, true}, {"fifo", 0, false}, {"endless", 0, false}, {"none", 0, false}} {
		if data, err := readSmall(dir + "/" + c.name); len(data) != c.size || (err == nil) != c.ok {
			t.Errorf("%s: %d bytes, %v", c.name, len(data), err)
		}
	}
}
