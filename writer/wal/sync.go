package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxMarks bounds what a segment remembers; beyond it the newest frames count
// as old as the last mark, which syncs them early.
const maxMarks = 1024

// markLocked notes that the newest frame of s is not durable.
func (l *Log) markLocked(s *segment, now time.Time) {
	n := len(s.marks)
	if n >= maxMarks {
		s.marks[n-1].seq = s.end - 1
		return
	}
	s.marks = append(s.marks, mark{s.end - 1, now})
	if n == 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// nextSync returns when the oldest frame that a cursor still misses has to be
// synced, but no later than limit.
func (l *Log) nextSync(limit time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if len(s.marks) == 0 {
			continue
		}
		if due := s.marks[0].time.Add(l.o.SyncInterval); due.Before(limit) {
			limit = due
		}
	}
	return limit
}

// syncDue syncs the segments with a frame that some cursor misses for the sync
// interval. While every receiver answers in time there is none. It reports
// whether all succeeded.
func (l *Log) syncDue(now time.Time) (ok bool) {
	ok = true
	for _, s := range l.due(now) {
		if err := l.syncSegment(s); err != nil {
			l.o.Logger.Error("sync failed; the segment is retired", "file", s.path, "err", err)
			ok = false
		}
	}
	return ok
}

func (l *Log) due(now time.Time) (due []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		acked := 0
		for acked < len(s.marks) && l.passedLocked(s.marks[acked].seq, s.marks[acked].seq+1) {
			acked++
		}
		s.marks = append(s.marks[:0], s.marks[acked:]...)
		if len(s.marks) > 0 && !s.marks[0].time.Add(l.o.SyncInterval).After(now) {
			due = append(due, s)
		}
		if len(s.marks) == 0 && s != l.active {
			s.closeFile()
		}
	}
	return due
}

// Sync makes everything durable that is on disk. It returns the first error;
// a segment that cannot be synced is retired.
func (l *Log) Sync() error {
	l.mu.Lock()
	segments := append([]*segment(nil), l.segments...)
	l.mu.Unlock()
	var errs []error
	for _, s := range segments {
		errs = append(errs, l.syncSegment(s))
	}
	return errors.Join(errs...)
}

func (l *Log) syncActive() {
	l.mu.Lock()
	s := l.active
	l.mu.Unlock()
	if s == nil {
		return
	}
	if err := l.syncSegment(s); err != nil {
		l.o.Logger.Error("sync failed; the segment is retired", "file", s.path, "err", err)
	}
}

// syncSegment makes the committed bytes of s durable. It blocks neither
// Append nor readers.
func (l *Log) syncSegment(s *segment) error {
	l.mu.Lock()
	size, needless := s.size, s.file == nil || s.doubt || s.synced >= s.size
	if needless {
		s.marks = nil
	}
	l.mu.Unlock()
	if needless {
		return nil
	}
	return l.syncFile(s, size)
}

// syncFile syncs the file of s, and the directory if the file may be new in
// it. After a failure the kernel may have dropped the dirty pages and a second
// sync would only pretend, so the segment is retired.
func (l *Log) syncFile(s *segment, size int64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	f, end, created, clean := s.file, s.end, l.dirDirty, l.dirClean
	l.mu.Unlock()
	if f == nil {
		return nil
	}
	begin := time.Now()
	err := f.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // passed or evicted meanwhile
	}
	if err == nil && created > clean {
		err = l.syncDirs(clean == 0)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Syncs++
	l.stats.SyncTotal += time.Since(begin)
	if err != nil {
		l.syncFailedLocked(s)
		return fmt.Errorf("sync segment %d: %w", s.first, err)
	}
	l.dirClean, s.synced = created, size
	s.settleLocked(end)
	return nil
}

// settleLocked forgets the marks below end.
func (s *segment) settleLocked(end uint64) {
	n := 0
	for n < len(s.marks) && s.marks[n].seq < end {
		n++
	}
	s.marks = append(s.marks[:0], s.marks[n:]...)
}

func (l *Log) syncFailedLocked(s *segment) {
	s.doubt, s.marks = true, nil
	l.stats.SyncErrors++
	if l.active == s {
		l.active = nil
	}
	l.changedLocked()
}

// syncDirs syncs the log's directory, and once the one above it, which may
// have got a new entry too; that is not ours, so its refusal is no error.
func (l *Log) syncDirs(above bool) error {
	if above {
		if err := l.fs.SyncDir(filepath.Dir(l.dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}
