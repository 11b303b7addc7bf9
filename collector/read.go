package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxFile bounds how much of one file is read. The largest that kernels write
// are mountinfo and the intr line of /proc/stat: a few hundred KiB.
const maxFile = 16 << 20

// errAbsent says that the kernel has no such file: the feature is off.
var errAbsent = fmt.Errorf("the kernel has no such file: %w", fs.ErrNotExist)

// errHuge says that a file has more than maxFile bytes.
var errHuge = errors.New("larger than 16 MiB")

// unlessAbsent returns err, but nil for a file that the kernel does not have.
func unlessAbsent(err error) error {
	if err == errAbsent {
		return nil
	}
	return err
}

// required names a file that every kernel has and that is not there all the
// same: what is mounted is no procfs, or the root that was given is wrong.
func required(f file, err error) error {
	if err == errAbsent {
		return fmt.Errorf("%s: %w; every Linux has it, so look at --path.procfs", f, err)
	}
	return err
}

// file is the path of a file to read. It carries the NUL byte that openat(2)
// wants, so that opening it copies nothing.
type file string

func fileAt(elem ...string) file { return file(filepath.Join(elem...) + "\x00") }

func (f file) String() string { return strings.TrimSuffix(string(f), "\x00") }

// reader reads files of the kernel, one after the other, into one buffer.
// Compared with os.ReadFile it spares the stat, the poller and the copies:
// 1.7 instead of 5.2 µs a file.
type reader struct {
	buf    []byte
	opened func(path string)
}

// read returns the content of f, which stays valid until the next read. A file
// that is not there, or whose device is going away, gives errAbsent.
func (r *reader) read(f file) ([]byte, error) {
	fd, err := r.open(f, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	n, err := r.fill(fd)
	_ = unix.Close(fd) // nothing was written
	if err != nil {
		return nil, fileError("read", f, err)
	}
	return r.buf[:n], nil
}

// open returns a descriptor that the caller closes.
func (r *reader) open(f file, flags int) (int, error) {
	if r.opened != nil {
		r.opened(f.String())
	}
	for {
		fd, errno := openat(f, flags)
		switch errno {
		case 0:
			return fd, nil
		case unix.EINTR:
			continue
		}
		return -1, fileError("open", f, errno)
	}
}

// openat is openat(2) without the copy of the path that unix.Open makes.
func openat(f file, flags int) (int, unix.Errno) {
	at := unix.AT_FDCWD
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(unsafe.StringData(string(f)))),
		uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
	runtime.KeepAlive(f)
	return int(fd), errno
}

// fill reads fd to its end. The kernel ends a read early at its own page
// borders, so only a read of 0 bytes is the end.
func (r *reader) fill(fd int) (n int, err error) {
	for {
		if n == len(r.buf) {
			r.grow()
		}
		m, err := unix.Read(fd, r.buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case m == 0:
			return n, nil
		}
		if n += m; n > maxFile {
			return n, errHuge
		}
	}
}

func (r *reader) grow() {
	grown := make([]byte, max(16<<10, 2*len(r.buf)))
	copy(grown, r.buf)
	r.buf = grown
}

func fileError(op string, f file, err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ENODEV, unix.ENXIO, unix.ESRCH:
		return errAbsent
	}
	return &fs.PathError{Op: op, Path: f.String(), Err: err}
}

// numbered returns the numbers N of the entries prefix+N of a directory, in
// ascending order; none if there is no such directory.
func numbered(dir, prefix string) []int {
	entries, _ := os.ReadDir(dir)
	var numbers []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), prefix)
		n, err := strconv.ParseUint(digits, 10, 16)
		if ok && err == nil && strconv.FormatUint(n, 10) == digits {
			numbers = append(numbers, int(n))
		}
	}
	slices.Sort(numbers)
	return numbers
}
