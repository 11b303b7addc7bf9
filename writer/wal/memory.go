package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// blindStart is the number a log begins with when its directory cannot be
// read: above all that a log counts from 1, and above those of earlier such
// starts, as long as the clock only moved forward.
func blindStart(now time.Time) uint64 {
	return 1<<50 + uint64(max(now.UnixMilli(), 0))<<8
}

// attach takes the directory over: locks it, lists it, and puts what it holds
// before what memory holds. After an error nothing has changed.
func (l *Log) attach() error {
	if err := l.fs.MkdirAll(l.dir); err != nil {
		return err
	}
	lock, err := l.fs.Lock(filepath.Join(l.dir, "lock"))
	if err != nil {
		return err
	}
	d, err := l.list(time.Now())
	if err == nil {
		err = l.adopt(d, lock)
	}
	if err != nil {
		return errors.Join(err, lock.Release(false))
	}
	return nil
}

// adopt makes the listing part of the log.
func (l *Log) adopt(d listing, lock dirLock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blindFrom > 0 && d.next > l.blindFrom {
		return fmt.Errorf("numbers on disk reach %d and those in memory began with %d (the clock was wrong): the disk is used again after a restart",
			d.next, l.blindFrom)
	}
	l.segments = append(d.segments, l.segments...)
	l.other = d.other
	l.orphans = d.orphans
	for name := range l.cursors {
		delete(l.orphans, cursorName(name))
	}
	l.next = max(l.next, d.next)
	l.lock = lock
	l.stats.Unclean, l.stats.SetAside = lock.Unclean(), d.aside
	return nil
}

// returnToDisk writes what is in memory to the disk, oldest first, when the
// disk takes it. Each segment becomes a file of the same bytes, under its
// readers. What it could not write stays as it was.
func (l *Log) returnToDisk() error {
	if err := l.reattach(); err != nil {
		return err
	}
	for _, c := range l.opened() {
		c.adopt()
	}
	l.rescan()
	l.rescueDoubtful()
	segments := l.inMemory()
	for _, s := range segments {
		if err := l.writeOut(s); err != nil {
			return fmt.Errorf("write segment %d to disk: %w", s.first, err)
		}
	}
	if len(segments) > 0 {
		l.o.Logger.Info("disk takes frames again", "dir", l.dir, "segments", len(segments))
	}
	l.fine("memory")
	l.fine("return")
	return nil
}

// reattach tries again what Open could not do.
func (l *Log) reattach() error {
	l.mu.Lock()
	attached := l.lock != nil
	l.mu.Unlock()
	if attached {
		return nil
	}
	return l.attach()
}

func (l *Log) opened() (cursors []*Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.cursors {
		cursors = append(cursors, c)
	}
	return cursors
}

func (l *Log) inMemory() (segments []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.inMem && !s.gone {
			segments = append(segments, s)
		}
	}
	return segments
}

// writeOut turns a memory segment into a file. One whose file is in doubt is
// replaced, and only by what is known to be durable. Making room may have
// evicted it.
func (l *Log) writeOut(s *segment) error {
	if s.gone {
		return nil
	}
	path := s.path
	if s.doubt {
		path += tmpSuffix
	}
	if err := l.reserveDisk(s.size); err != nil {
		return err
	}
	if s.gone {
		return nil
	}
	if s.tried {
		if err := l.remove(path); err != nil {
			return err
		}
	}
	s.tried = true
	f, err := l.fs.Create(path)
	if err != nil {
		return err
	}
	if err := l.fillFile(s, f, path); err != nil {
		f.Close()
		l.remove(path)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirDirty++
	s.inMem, s.mem, s.file, s.extra = false, nil, f, 0
	if s.doubt {
		s.doubt, s.rescued, s.synced = false, false, s.size
	} else if l.o.SyncInterval > 0 {
		l.markLocked(s, time.Now())
	}
	return nil
}

const tmpSuffix = ".tmp"

// fillFile writes s to f, and where the policy or an older file demands it
// makes it durable.
func (l *Log) fillFile(s *segment, f file, path string) error {
	n, err := f.Write(s.mem)
	if err = errors.Join(err, shortWrite(n, len(s.mem))); err != nil {
		return err
	}
	if l.o.SyncInterval > 0 && !s.doubt {
		return nil
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if s.doubt {
		if err := l.fs.Rename(path, s.path); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// rescueDoubtful keeps the bytes of segments whose sync failed, while the page
// cache still has them: the kernel calls such pages clean and may forget them.
func (l *Log) rescueDoubtful() {
	l.mu.Lock()
	var doubtful []*segment
	for _, s := range l.segments {
		if s.doubt && !s.rescued && !s.gone {
			s.rescued = true
			doubtful = append(doubtful, s)
		}
	}
	l.mu.Unlock()
	for _, s := range doubtful {
		if err := l.rescue(s); err != nil {
			l.o.Logger.Error("segment could not be synced and will not outlive a power cut", "file", s.path, "err", err)
		}
	}
}

// rescue takes a segment into memory, whence writeOut makes a new file of it.
func (l *Log) rescue(s *segment) error {
	if err := l.reserveMemory(s.size); err != nil {
		return err
	}
	b := make([]byte, s.size)
	f, err := l.fs.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	if !l.whole(s, b) {
		return errors.New("the kernel has forgotten its newest bytes")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.closeFile()
	s.inMem, s.mem, s.marks = true, b, nil
	return nil
}

// whole reports whether b holds every committed frame of s.
func (l *Log) whole(s *segment, b []byte) bool {
	r := &Reader{log: l, only: true}
	r.enter(&segment{first: s.first, size: s.size, inMem: true, mem: b})
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	return r.last+1 == s.end && r.skipped == 0 && r.damage == Damage{}
}

// rescan counts the bytes of what is not ours: it may grow without us.
func (l *Log) rescan() {
	entries, err := l.fs.List(l.dir)
	if err != nil {
		l.warnOnce("list", "log directory cannot be listed", "dir", l.dir, "err", err)
		return
	}
	l.fine("list")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.other = 0
	for _, e := range entries {
		path := filepath.Join(l.dir, e.name)
		if !slices.ContainsFunc(l.segments, func(s *segment) bool { return s.path == path }) {
			l.other += e.size
		}
	}
}
