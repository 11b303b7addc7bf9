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

	"nodepush/metric"
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
	if os.Geteuid() != 0 {
		t.Skip("mounting takes root")
	}
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

// In a container the host's root lies below a directory, and so do the paths
// to ask, but not the labels.
func TestFilesystemBelowRootfs(t *testing.T) {
	lines := map[string]string{
		"names of the host":        "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 8:1 / /a\\040b rw - ext4 /dev/sda1 rw\n",
		"names of the container":   "27 1 254:0 / /host rw - ext4 /dev/vda rw\n28 27 8:1 / /host/a\\040b rw - ext4 /dev/sda1 rw\n",
		"both, the last one holds": "27 1 254:0 / / ro - ext4 /dev/vda rw\n28 27 254:0 / /host rw - ext4 /dev/vda rw\n29 27 8:1 / /host/a\\040b rw - ext4 /dev/sda1 rw\n",
	}
	for name, text := range lines {
		t.Run(name, func(t *testing.T) {
			h := hostWith(t, map[string]string{"proc/1/mountinfo": text})
			h.Rootfs = "/host"
			asked := make(chan string, 10)
			h.statfs = func(path string, st *unix.Statfs_t) error {
				asked <- path
				return nil
			}
			got, err := collectOnce(t, makeOne(t, h, "filesystem", Options{}))
			if err != nil {
				t.Fatal(err)
			}
			wantSeries(t, got, map[string]float64{
				`node_filesystem_readonly{device="/dev/vda",mountpoint="/",fstype="ext4"}`:     0,
				`node_filesystem_readonly{device="/dev/sda1",mountpoint="/a b",fstype="ext4"}`: 0,
			})
			if len(asked) != 2 || <-asked != "/host" || <-asked != "/host/a b" {
				t.Error("other paths were asked than /host and /host/a b")
			}
		})
	}
}

func TestFilesystemFilter(t *testing.T) {
	mounts := map[string]string{
		"/": "ext4", "/dev/shm": "tmpfs", "/devices": "ext4", "/run": "tmpfs", "/run/credentials/x": "ramfs", "/var/lib/docker": "xfs",
		"/var/lib/docker/overlay2/a": "xfs", "/snap/core": "squashfs", "/merged": "overlay", "/srv": "nfs4",
	}
	text := ""
	for point, fstype := range mounts {
		text += "27 1 0:1 / " + point + " rw - " + fstype + " src rw\n"
	}
	tests := []struct {
		name string
		o    FilesystemOptions
		want []string
	}{
		{"default", FilesystemOptions{}, []string{"/", "/devices", "/run", "/srv", "/var/lib/docker"}},
		{"exclude points", FilesystemOptions{MountPointsExclude: ptr("^/.")}, []string{"/"}},
		{"include points", FilesystemOptions{MountPointsInclude: ptr("^/dev")}, []string{"/dev/shm", "/devices"}},
		{"include types", FilesystemOptions{FSTypesInclude: ptr("^overlay$")}, []string{"/merged"}},
		{"exclude types", FilesystemOptions{FSTypesExclude: ptr("fs")}, []string{"/", "/devices", "/merged"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{"proc/1/mountinfo": text}), "filesystem", Options{Filesystem: tt.o}))
			if err != nil {
				t.Fatal(err)
			}
			shown := 0
			for point, fstype := range mounts {
				if _, ok := got[fmt.Sprintf(`node_filesystem_size_bytes{device="src",mountpoint=%q,fstype=%q}`, point, fstype)]; ok {
					shown++
				}
			}
			for _, point := range tt.want {
				wantSeries(t, got, map[string]float64{fmt.Sprintf(`node_filesystem_size_bytes{device="src",mountpoint=%q,fstype=%q}`, point, mounts[point]): 0})
			}
			if shown != len(tt.want) {
				t.Errorf("%d mounts shown, want %q", shown, tt.want)
			}
		})
	}
}

// A mount keeps its state over a change of its options, and is forgotten when
// it goes.
func TestFilesystemForgets(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/1/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 8:1 / /a rw - ext4 /dev/sda1 rw\n"})
	c := makeOne(t, h, "filesystem", Options{}).(*filesystem)
	var dst metric.Buffer
	collect := func() {
		dst.Reset()
		if err := c.Collect(t.Context(), time.Now(), &dst); err != nil {
			t.Fatal(err)
		}
	}
	collect()
	root := c.mounts[mountID{"/dev/vda", "/", "ext4"}]
	rewrite(t, h, "proc/1/mountinfo", "27 1 254:0 / / ro - ext4 /dev/vda rw\n")
	collect()
	if got := c.mounts[mountID{"/dev/vda", "/", "ext4"}]; got != root || !got.readonly {
		t.Errorf("remounted: %+v", got)
	}
	if len(c.mounts) != 1 || len(c.lines.members) != 1 {
		t.Errorf("kept %d mounts, %d lines", len(c.mounts), len(c.lines.members))
	}
}
