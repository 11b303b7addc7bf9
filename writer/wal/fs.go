package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// fileSystem is what the log asks of the disk. It exists so that a test can
// make each operation fail.
type fileSystem interface {
	MkdirAll(dir string) error
	Lock(name string) (dirLock, error) // ErrLocked when another process has it
	List(dir string) ([]entry, error)
	Open(name string) (file, error)              // for reading
	Create(name string) (file, error)            // for writing; fails if it exists
	OpenInPlace(name string) (f file, err error) // for reading and writing; made if missing
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error
}

// file is an open file; the methods are those of os.File.
type file interface {
	io.ReaderAt
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
}

// dirLock is the right to use a directory.
type dirLock interface {
	Unclean() bool            // the process before did not release it as clean
	Release(clean bool) error // clean: notes so for the next holder
}

// entry is a file below the log's directory.
type entry struct {
	name     string // relative to the directory
	size     int64
	modified time.Time
	regular  bool
}

type osFS struct{}

func (osFS) MkdirAll(dir string) error      { return os.MkdirAll(dir, 0o700) }
func (osFS) Rename(from, to string) error   { return os.Rename(from, to) }
func (osFS) Remove(name string) error       { return os.Remove(name) }
func (osFS) Open(name string) (file, error) { return opened(openRegular(name, os.O_RDONLY)) }
func (osFS) Create(name string) (file, error) {
	return opened(os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600))
}
func (osFS) OpenInPlace(name string) (file, error) {
	return opened(openRegular(name, os.O_RDWR|os.O_CREATE))
}

// openRegular opens a file of the log. What else may have its name, a FIFO or
// a link to somewhere else, is refused without waiting for it and untouched.
func openRegular(name string, flags int) (*os.File, error) {
	f, err := os.OpenFile(name, flags|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// opened keeps a nil *os.File out of a non-nil interface.
func opened(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// SyncDir makes created, renamed and removed entries of dir durable.
func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err // some file systems cannot sync a directory and need not
	}
	return nil
}

// List returns every file below dir. What cannot be looked at below a
// subdirectory (lost+found) counts nothing.
func (osFS) List(dir string) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir {
			return err
		}
		if err != nil || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone since
		}
		name, _ := filepath.Rel(dir, path)
		entries = append(entries, entry{name, info.Size(), info.ModTime(), info.Mode().IsRegular()})
		return nil
	})
	return entries, err
}

// osLock is a flock(2) on an open file. The file holds the pid of its holder,
// and nothing after a clean end.
type osLock struct {
	f       *os.File
	unclean bool
}

func (osFS) Lock(name string) (dirLock, error) {
	f, err := openRegular(name, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		f, err = openRegular(name, os.O_RDONLY) // enough for a lock
	}
	if err != nil {
		return nil, err
	}
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid := strings.TrimSpace(string(text[:n]))
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		f.Close()
		return nil, lockError(filepath.Dir(name), pid, err)
	}
	fmt.Fprintf(f, "%-20d\n", os.Getpid()) // information only; a full disk may refuse it
	return &osLock{f, pid != ""}, nil
}

func lockError(dir, pid string, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if _, bad := strconv.Atoi(pid); bad != nil {
		return fmt.Errorf("directory %s is %w", dir, ErrLocked)
	}
	return fmt.Errorf("directory %s is %w (pid %s)", dir, ErrLocked, pid)
}

func (l *osLock) Unclean() bool { return l.unclean }

func (l *osLock) Release(clean bool) error {
	if clean || !l.unclean {
		l.f.Truncate(0) // a read-only disk keeps the note of an unclean end, which is the cautious answer
	}
	return l.f.Close()
}
