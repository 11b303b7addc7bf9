package collector

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

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
