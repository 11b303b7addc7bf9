package wal

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// countingFS counts reads.
type countingFS struct {
	osFS
	reads atomic.Int64
}

type countingFile struct {
	file
	fs *countingFS
}

func (c *countingFS) Open(name string) (file, error) {
	f, err := c.osFS.Open(name)
	if err != nil {
		return nil, err
	}
	return countingFile{f, c}, nil
}

func (f countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.reads.Add(1)
	return f.file.ReadAt(p, off)
}

// faultyFS is the real file system until fail, asked before each operation
// with its name and the file's, returns an error.
type faultyFS struct {
	osFS
	fail func(op, name string) error
}

func (f *faultyFS) check(op, name string) error {
	if err := f.fail(op, filepath.Base(name)); err != nil {
		return &os.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (f *faultyFS) wrap(g file, err error, name string) (file, error) {
	if err != nil {
		return nil, err
	}
	return faultyFile{g, f, name}, nil
}

func (f *faultyFS) MkdirAll(dir string) error {
	return errors.Join(f.check("mkdir", dir), f.osFS.MkdirAll(dir))
}

func (f *faultyFS) Lock(name string) (dirLock, error) {
	if err := f.check("lock", name); err != nil {
		return nil, err
	}
	return f.osFS.Lock(name)
}

func (f *faultyFS) List(dir string) ([]entry, error) {
	if err := f.check("list", dir); err != nil {
		return nil, err
	}
	return f.osFS.List(dir)
}

func (f *faultyFS) Open(name string) (file, error) {
	if err := f.check("open", name); err != nil {
		return nil, err
	}
	g, err := f.osFS.Open(name)
	return f.wrap(g, err, name)
}

func (f *faultyFS) Create(name string) (file, error) {
	if err := f.check("create", name); err != nil {
		return nil, err
	}
	g, err := f.osFS.Create(name)
	return f.wrap(g, err, name)
}

func (f *faultyFS) OpenInPlace(name string) (file, error) {
	if err := f.check("inplace", name); err != nil {
		return nil, err
	}
	g, err := f.osFS.OpenInPlace(name)
	return f.wrap(g, err, name)
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.check("rename", from); err != nil {
		return err
	}
	return f.osFS.Rename(from, to)
}

func (f *faultyFS) Remove(name string) error {
	if err := f.check("remove", name); err != nil {
		return err
	}
	return f.osFS.Remove(name)
}

func (f *faultyFS) SyncDir(dir string) error {
	if err := f.check("syncdir", dir); err != nil {
		return err
	}
	return f.osFS.SyncDir(dir)
}

type faultyFile struct {
	file
	fs   *faultyFS
	name string
}

func (f faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

// Write may write a part: that is how disks fill up; or all of it and fail.
func (f faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.check("write", f.name); err != nil {
		return 0, err
	}
	if err := f.fs.check("short", f.name); err != nil {
		n, _ := f.file.Write(p[:len(p)*2/3])
		return n, err
	}
	n, err := f.file.Write(p)
	return n, errors.Join(err, f.fs.check("late", f.name))
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("pwrite", f.name); err != nil {
		n, _ := f.file.WriteAt(p[:min(60, len(p))], off) // torn
		return n, err
	}
	return f.file.WriteAt(p, off)
}

func (f faultyFile) Sync() error {
	if err := f.fs.check("sync", f.name); err != nil {
		return err
	}
	return f.file.Sync()
}

// badBlock is a disk with some bytes that cannot be read.
type badBlock struct {
	osFS
	broken   bool
	from, to int64
}

type badFile struct {
	file
	fs *badBlock
}

func (b *badBlock) Open(name string) (file, error) {
	f, err := b.osFS.Open(name)
	if err != nil {
		return nil, err
	}
	return badFile{f, b}, nil
}

func (f badFile) ReadAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if !f.fs.broken || end <= f.fs.from || off >= f.fs.to {
		return f.file.ReadAt(p, off)
	}
	n, _ := f.file.ReadAt(p[:max(0, f.fs.from-off)], off)
	return n, syscall.EIO
}
