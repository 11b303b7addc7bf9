package wal

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// self prepares this test binary as a process of its own. Where the tests run
// under an emulator (make test-cross), the kernel cannot start it by itself.
func self(args ...string) *exec.Cmd {
	if emulator := os.Getenv("NODEPUSH_TEST_EMULATOR"); emulator != "" {
		return exec.Command(emulator, append([]string{os.Args[0]}, args...)...)
	}
	return exec.Command(os.Args[0], args...)
}

// child starts this test binary as a second process.
func child(t *testing.T, task, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := self()
	cmd.Env = append(os.Environ(), "WAL_TEST_CHILD="+task, "WAL_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func childFails(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// childAppends appends until it is killed and tells each number that Append
// returned.
func childAppends(dir string) {
	l, err := Open(dir, options())
	if err != nil {
		childFails(err)
	}
	for n := uint64(0); ; n++ {
		if n%100 == 0 {
			if err := l.Roll([][]byte{[]byte("head")}); err != nil {
				childFails(err)
			}
		}
		seq, err := l.Append(Data, payload(n, int(n%5000)))
		if err != nil {
			childFails(err)
		}
		fmt.Println(seq, n)
	}
}

// childLocks holds the log until its standard output is closed.
func childLocks(dir string) {
	if _, err := Open(dir, options()); err != nil {
		childFails(err)
	}
	fmt.Println("locked")
	time.Sleep(time.Minute)
	os.Exit(0)
}

// kill -9 loses nothing that Append returned for.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd, out := child(t, "append", dir)
		acknowledged := make(map[uint64]uint64)
		for i := 0; i < 300+50*round && out.Scan(); i++ {
			var seq, n uint64
			if _, err := fmt.Sscan(out.Text(), &seq, &n); err != nil {
				t.Fatal(err)
			}
			acknowledged[seq] = n
		}
		cmd.Process.Kill()
		cmd.Wait()
		l := mustOpen(t, dir, options())
		if !l.Stats().Unclean {
			t.Error("a killed process counts as cleanly stopped")
		}
		frames, damage := read(l, 0)
		if damage != (Damage{}) && damage.Frames > 0 {
			t.Errorf("damage %+v", damage)
		}
		found := 0
		for _, f := range frames {
			n, ok := acknowledged[f.seq]
			if ok && f.payload == string(payload(n, int(n%5000))) {
				found++
			}
		}
		if found != len(acknowledged) || found < 300 {
			t.Errorf("found %d of %d frames", found, len(acknowledged))
		}
		if s := seqs(frames); !slices.IsSorted(s) {
			t.Error("numbers do not rise")
		}
		l.Close()
	}
}

func TestCloseIsClean(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir)
	if mustOpen(t, dir, options()).Stats().Unclean {
		t.Error("a closed log counts as not cleanly stopped")
	}
}

// A second process learns who has the log, and changes nothing.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	cmd, out := child(t, "lock", dir)
	if !out.Scan() {
		t.Fatal("the child could not lock the log")
	}
	_, err := Open(dir, options())
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("error %v, want ErrLocked", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("pid %d", cmd.Process.Pid)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	mustOpen(t, dir, options())
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		t.Error(err)
	}
}
