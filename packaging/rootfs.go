//go:build ignore

// Rootfs writes the image's files as a tar archive to standard output:
//
//	go run packaging/rootfs.go BINARY > rootfs.tar
//
// Docker's COPY drops file capabilities, and a state directory with an owner
// cannot be made in an empty image. ADD of an archive keeps both, and nobody
// has to be root to write one.
package main

import (
	"archive/tar"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"
)

// user is the number of the user and the group in the image; the Dockerfile names it too.
const user = 65532

// https://man7.org/linux/man-pages/man7/capabilities.7.html
const (
	dacReadSearch = 1 << 2
	sysPtrace     = 1 << 19
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run packaging/rootfs.go BINARY > rootfs.tar")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "rootfs:", err)
		os.Exit(1)
	}
}

func write(to io.Writer, program string) error {
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w := tar.NewWriter(to)
	for _, d := range []struct {
		name  string
		mode  int64
		owner int
	}{{"etc/", 0o755, 0}, {"etc/nodepush/", 0o755, 0}, {"usr/", 0o755, 0}, {"usr/bin/", 0o755, 0}, {"var/", 0o755, 0}, {"var/lib/", 0o755, 0}, {"var/lib/nodepush/", 0o750, user}} {
		if err := w.WriteHeader(header(tar.TypeDir, d.name, d.mode, d.owner)); err != nil {
			return err
		}
	}
	h := header(tar.TypeReg, "usr/bin/nodepush", 0o755, 0)
	h.Size = info.Size()
	h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": string(capabilities(dacReadSearch | sysPtrace))}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	return w.Close()
}

// header has the same time in every build, so that the same binary gives the same image layer.
func header(kind byte, name string, mode int64, owner int) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
}

// capabilities is struct vfs_cap_data of linux/capability.h, revision 2 with
// the effective bit: what is permitted is in force from the start.
func capabilities(permitted uint32) []byte {
	const revision2, effective = 0x02000000, 1
	b := binary.LittleEndian.AppendUint32(nil, revision2|effective)
	for _, word := range []uint32{permitted, 0, 0, 0} { // permitted and inheritable, capabilities 0 to 31 and from 32
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return b
}
