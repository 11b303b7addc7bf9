package collector

import (
	"strings"
	"testing"
)

func TestParseMountinfoLine(t *testing.T) {
	tests := []struct {
		name, in string
		want     mountInfo
		ok       bool
	}{
		{"plain", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", mountInfo{mountID{"/dev/vda", "/", "ext4"}, "/", "254", "0", false}, true},
		{"optional fields", "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue", mountInfo{mountID{"/dev/root", "/mnt2", "ext3"}, "/mnt2", "98", "0", false}, true},
		{"mount read-only", "27 1 254:0 / / ro,relatime - ext4 /dev/vda rw", mountInfo{mountID{"/dev/vda", "/", "ext4"}, "/", "254", "0", true}, true},
		{"file system read-only", "27 1 254:0 / / rw - ext4 /dev/vda ro", mountInfo{mountID{"/dev/vda", "/", "ext4"}, "/", "254", "0", true}, true},
		{"after an error", "27 1 254:0 / / rw - ext4 /dev/vda rw,emergency_ro", mountInfo{mountID{"/dev/vda", "/", "ext4"}, "/", "254", "0", true}, true},
		{"errors=remount-ro is not ro", "27 1 254:0 / / rw - ext4 /dev/vda rw,errors=remount-ro", mountInfo{mountID{"/dev/vda", "/", "ext4"}, "/", "254", "0", false}, true},
		{"escapes", `27 1 0:9 / /a\040b\011c\012d\134e\043 rw - nfs srv:/x\040y rw`, mountInfo{mountID{`srv:/x\040y`, "/a b\tc\nd\\e#", "nfs"}, "/a b\tc\nd\\e#", "0", "9", false}, true},
		{"empty source", "27 1 0:9 / /a rw - tmpfs  rw", mountInfo{mountID{"", "/a", "tmpfs"}, "/a", "0", "9", false}, true},
		{"spaces in options", "27 1 0:9 / /a rw - fuse.x src rw,name=a b c", mountInfo{mountID{"src", "/a", "fuse.x"}, "/a", "0", "9", false}, true},
		{"not UTF-8", "27 1 0:9 / /\xff rw - tmpfs \xfe rw", mountInfo{mountID{"\uFFFD", "/\uFFFD", "tmpfs"}, "/\xff", "0", "9", false}, true},
		{"no separator", "27 1 254:0 / / rw,relatime ext4 /dev/vda rw", mountInfo{}, false},
		{"no options", "27 1 254:0 / / - ext4 /dev/vda rw", mountInfo{}, false},
		{"no super options", "27 1 254:0 / / rw - ext4 /dev/vda", mountInfo{}, false},
		{"device", "27 1 254 / / rw - ext4 /dev/vda rw", mountInfo{}, false},
		{"id", "x 1 254:0 / / rw - ext4 /dev/vda rw", mountInfo{}, false},
		{"empty", "", mountInfo{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseMountinfoLine(tt.in)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("parseMountinfoLine(%q) = %+v, %v, want %+v, %v", tt.in, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/a`: "/a", `/a\040`: "/a ", `\0401`: " 1", `\04`: `\04`, `\08a`: `\08a`, `\400`: `\400`, `\000`: `\000`, `\`: `\`, `\377`: "\xff",
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBelow(t *testing.T) {
	tests := []struct{ root, point, want string }{
		{"/", "/home", "/home"}, {"/", "/", "/"},
		{"/host", "/host", "/"}, {"/host", "/host/home", "/home"}, {"/host", "/home", "/home"}, {"/host", "/hostile", "/hostile"},
	}
	for _, tt := range tests {
		if got := below(tt.root, tt.point); got != tt.want {
			t.Errorf("below(%q, %q) = %q, want %q", tt.root, tt.point, got, tt.want)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add("27 1 254:0 / / rw - ext4 /dev/vda rw\n29 27 0:41 / /srv/my\\040data rw shared:3 - nfs4 nas:/export rw\n")
	f.Add("27 1 254:0 / / rw - ext4 /dev/vda rw\n27 1 254:1 / / ro - ext4 /dev/vda rw\n")
	f.Fuzz(func(t *testing.T, text string) {
		if typesDiffer(text) {
			return
		}
		fuzzCollector(t, "filesystem", "proc/1/mountinfo", text)
	})
}

// typesDiffer reports whether one device has two types at one mount point,
// which no kernel writes and which node_filesystem_mount_info cannot show.
func typesDiffer(text string) bool {
	types := make(map[mountID]string)
	for line := range strings.Lines(text) {
		m, ok := parseMountinfoLine(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		fstype := m.fstype
		m.mountID.fstype = ""
		if known, ok := types[m.mountID]; ok && known != fstype {
			return true
		}
		types[m.mountID] = fstype
	}
	return false
}
