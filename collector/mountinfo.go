package collector

import (
	"strings"
)

// mountInfo is what a line of /proc/PID/mountinfo says.
// https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
type mountInfo struct {
	mountID
	raw          string // the mount point as bytes that statfs(2) understands
	major, minor string
	readonly     bool
}

// mountID is what makes a mount one set of series.
type mountID struct{ device, point, fstype string }

// parseMountinfoLine splits, for instance,
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// Single spaces separate the fields, so that a source may be empty. The
// options of the file system, the last field, may hold spaces themselves.
func parseMountinfoLine(line string) (m mountInfo, ok bool) {
	mount, super, found := strings.Cut(line, " - ")
	fields := strings.SplitN(mount, " ", 7)
	of := strings.SplitN(super, " ", 3)
	if !found || len(fields) < 6 || len(of) < 3 || fields[4] == "" || of[0] == "" {
		return m, false
	}
	if _, isID := parseUint([]byte(fields[0])); !isID {
		return m, false
	}
	m.major, m.minor, ok = parseDevice(fields[2])
	m.raw = unescape(fields[4])
	m.mountID = mountID{label(of[1]), label(m.raw), label(of[0])}
	m.readonly = hasOption(fields[5], "ro") || hasOption(of[2], "ro") || hasOption(of[2], "emergency_ro")
	return m, ok
}

// parseDevice splits "254:0".
func parseDevice(text string) (major, minor string, ok bool) {
	major, minor, ok = strings.Cut(text, ":")
	_, ok1 := parseUint([]byte(major))
	_, ok2 := parseUint([]byte(minor))
	return major, minor, ok && ok1 && ok2
}

func hasOption(options, want string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == want {
			return true
		}
	}
	return false
}

// unescape turns \040 and the like, as the kernel writes white space,
// backslashes and '#' in paths, back into bytes.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out []byte
	for i := 0; i < len(text); i++ {
		if c, ok := octal(text[i:]); ok {
			out = append(out, c)
			i += 3
			continue
		}
		out = append(out, text[i])
	}
	return string(out)
}

// octal reads the byte that text begins with: a backslash and three digits.
func octal(text string) (byte, bool) {
	if len(text) < 4 || text[0] != '\\' || text[1] > '3' {
		return 0, false
	}
	v := 0
	for _, c := range []byte(text[1:4]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		v = v<<3 | int(c-'0')
	}
	return byte(v), v != 0 // no path has a NUL
}

// below turns a mount point as the kernel names it into one of the host whose
// root file system is mounted at root: the part below root, or the path as it
// is when procfs shows the host's own names.
func below(root, point string) string {
	rest, ok := strings.CutPrefix(point, root)
	switch {
	case root == "/" || !ok:
		return point
	case rest == "":
		return "/"
	case rest[0] != '/':
		return point
	}
	return rest
}

// remote reports whether somebody else than the kernel answers for a file
// system: a server or a FUSE process, which may never answer.
func remote(fstype string) bool {
	for _, prefix := range [...]string{"nfs", "cifs", "smb", "fuse", "9p", "afs", "ceph", "gluster", "lustre", "beegfs", "gpfs", "orangefs", "pvfs", "coda", "ncpfs", "davfs", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "autofs"} {
		if strings.HasPrefix(fstype, prefix) {
			return true
		}
	}
	return false
}
