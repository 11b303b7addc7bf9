//go:build !386 && !arm && !mips && !mipsle

// go-fuse does not build for 32-bit machines.

package collector

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// fuseRoot is a FUSE file system whose statfs(2) hangs until hang is closed.
type fuseRoot struct {
	fs.Inode
	hang  chan struct{}
	asked chan struct{} // one entry for each call by this process
}

func (r *fuseRoot) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	if caller, ok := fuse.FromContext(ctx); ok && exists(fmt.Sprintf("/proc/self/task/%d", caller.Pid)) {
		r.asked <- struct{}{}
	}
	<-r.hang
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, Blocks: 100, Bfree: 40, Bavail: 30, Files: 10, Ffree: 5}
	return 0
}

// mountFuse mounts r at a new directory.
func mountFuse(t *testing.T, r *fuseRoot) string {
	t.Helper()
	needRoot(t, "mounting")
	dir := t.TempDir()
	server, err := fs.Mount(dir, r, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "hanging", Name: "test"}})
	if err != nil {
		t.Fatalf("mount a FUSE file system (this test needs /dev/fuse and CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// ownMounts is a procfs whose process 1 has the mounts of this process, which
// may live in another mount namespace than the real one.
func ownMounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return hostWith(t, map[string]string{"proc/1/mountinfo": string(text)}).Procfs
}

// A real file system that does not answer costs its own samples and nothing
// else; when it answers again, it is shown again.
func TestFilesystemHangs(t *testing.T) {
	r := &fuseRoot{hang: make(chan struct{}), asked: make(chan struct{}, 100)}
	dir := mountFuse(t, r)
	h := &host{Paths: Paths{Procfs: ownMounts(t), Rootfs: "/"}, statfs: unix.Statfs}
	c := makeOne(t, h, "filesystem", Options{Filesystem: FilesystemOptions{
		MountPointsInclude: ptr("^(/|" + regexp.QuoteMeta(dir) + ")$"), FSTypesExclude: ptr(""), MountTimeout: 300 * time.Millisecond,
	}})
	series := func(name, device, reason string) string {
		if reason != "" {
			reason = fmt.Sprintf(",device_error=%q", reason)
		}
		return fmt.Sprintf(`node_filesystem_%s{device=%q,mountpoint=%q,fstype="fuse.test"%s}`, name, device, dir, reason)
	}
	for round := range 3 {
		start := time.Now()
		got, err := collectOnce(t, c)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 3*time.Second || round > 0 && took > 200*time.Millisecond {
			t.Errorf("round %d took %v", round, took)
		}
		wantSeries(t, got, map[string]float64{series("device_error", "hanging", "mountpoint timeout"): 1, series("readonly", "hanging", "mountpoint timeout"): 0})
		if _, shown := got[series("size_bytes", "hanging", "")]; shown || !showsRoot(got) {
			t.Errorf("round %d: hanging mount shown %v, root shown %v", round, shown, showsRoot(got))
		}
	}
	if n := len(r.asked); n != 1 {
		t.Errorf("the hanging mount was asked %d times, want once", n)
	}
	close(r.hang)
	want := map[string]float64{
		series("size_bytes", "hanging", ""): 409600, series("free_bytes", "hanging", ""): 163840, series("avail_bytes", "hanging", ""): 122880,
		series("files", "hanging", ""): 10, series("files_free", "hanging", ""): 5, series("device_error", "hanging", ""): 0,
	}
	wantSeries(t, collectUntil(t, c, series("size_bytes", "hanging", "")), want)
}

func showsRoot(got map[string]float64) bool {
	for name := range got {
		if strings.HasPrefix(name, "node_filesystem_size_bytes{") && strings.Contains(name, `mountpoint="/",`) {
			return true
		}
	}
	return false
}

// collectUntil collects until name is shown: the call that hung needs a moment
// to return.
func collectUntil(t *testing.T, c Collector, name string) map[string]float64 {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		got, err := collectOnce(t, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got[name]; ok {
			return got
		}
	}
	t.Fatalf("%s was not shown within 10 s", name)
	return nil
}
