//go:build vm

package vm

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// disk returns a new disk of a test's own that begins as another one is.
func disk(t *testing.T, from string) string {
	t.Helper()
	format := "qcow2"
	if filepath.Ext(from) == ".raw" {
		format = "raw"
	}
	file := filepath.Join(t.TempDir(), "disk.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", from, "-F", format, file)
	return file
}

// smallDisk returns a disk with an empty file system of so many MiB, all of
// which anybody may use.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "small.raw")
	command(t, "mke2fs", "-q", "-t", "ext4", "-m", "0", file, fmt.Sprintf("%dM", size))
	return file
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
