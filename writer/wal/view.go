package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
)

// View opens the log in dir to be looked at, also while another process
// writes it: it takes no lock, changes nothing, and shows what was there when
// it was opened. Only Reader, Stats, End and States make sense on it.
func View(dir string, log *slog.Logger) (*Log, error) {
	o, err := Options{Logger: log}.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, o: o, fs: viewFS{}, wake: make(chan struct{}, 1), next: 1,
		cursors: make(map[string]*Cursor), warned: make(map[string]bool)}
	if err := l.attach(); err != nil {
		return nil, fmt.Errorf("view log %s: %w", dir, err)
	}
	return l, nil
}

// States reads the state of every receiver that has a cursor in the
// directory, configured or not, by the first 120 bytes of its name. Of those
// that cannot be read it joins the errors.
func (l *Log) States() (map[string]State, error) {
	entries, err := l.fs.List(l.dir)
	if err != nil {
		return nil, err
	}
	states, errs := make(map[string]State), []error(nil)
	for _, e := range entries {
		if !isCursorName(e.name) {
			continue
		}
		s, err := l.readCursor(l.dir + string(os.PathSeparator) + e.name)
		if err != nil {
			errs = append(errs, fmt.Errorf("cursor %s: %w", e.name, err))
			continue
		}
		states[s.name] = s.state
	}
	return states, errors.Join(errs...)
}

// viewFS is the real file system without the right to change it.
type viewFS struct{ osFS }

type viewLock struct{}

func (viewLock) Unclean() bool      { return false }
func (viewLock) Release(bool) error { return nil }

func (viewFS) Lock(string) (dirLock, error)     { return viewLock{}, nil }
func (viewFS) Create(string) (file, error)      { return nil, syscall.EROFS }
func (viewFS) OpenInPlace(string) (file, error) { return nil, syscall.EROFS }
func (viewFS) Rename(string, string) error      { return syscall.EROFS }
func (viewFS) Remove(string) error              { return syscall.EROFS }
func (viewFS) MkdirAll(dir string) error        { _, err := os.ReadDir(dir); return err }
