package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"
)

// reserveDisk makes room for n more bytes under the cap. The oldest segments
// go first, passed or not; what is not ours stays.
func (l *Log) reserveDisk(n int64) error {
	for {
		used, other, oldest := l.diskUse()
		if used+n <= l.o.MaxSize {
			return nil
		}
		if oldest == nil {
			return fmt.Errorf("no room for %d bytes: %d of %d bytes (max_size) are in use, %d of them by files that are not segments",
				n, used, l.o.MaxSize, other)
		}
		if err := l.evict(oldest, EvictSize); err != nil {
			return err
		}
	}
}

// diskUse returns the bytes in the directory and the oldest segment on disk
// that may go.
func (l *Log) diskUse() (used, other int64, oldest *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used = l.other
	for _, s := range l.segments {
		used += s.disk()
		if oldest == nil && s.disk() > 0 && s != l.active {
			oldest = s
		}
	}
	return used, l.other, oldest
}

// reserveMemory makes room for n more bytes under the memory limit.
func (l *Log) reserveMemory(n int64) error {
	for {
		used, oldest := l.memoryUse()
		if used+n <= l.o.MemoryLimit {
			return nil
		}
		if oldest == nil {
			return fmt.Errorf("no room for %d bytes in memory: %d of %d are in use", n, used, l.o.MemoryLimit)
		}
		if err := l.evict(oldest, EvictMemory); err != nil {
			return err
		}
	}
}

func (l *Log) memoryUse() (used int64, oldest *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		used += int64(len(s.mem))
		if oldest == nil && s.inMem && s != l.active {
			oldest = s
		}
	}
	return used, oldest
}

// evictOld deletes the segments whose newest frame is too old.
func (l *Log) evictOld(now time.Time) {
	if l.o.MaxAge == 0 {
		return
	}
	for _, s := range l.olderThan(now.Add(-l.o.MaxAge)) {
		if err := l.evict(s, EvictAge); err != nil {
			l.warnOnce("unlink", "old segment cannot be deleted", "file", s.path, "err", err)
			return
		}
	}
}

// olderThan returns the segments that nothing was appended to since limit,
// oldest first. Before the first Roll none is.
func (l *Log) olderThan(limit time.Time) (old []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == nil {
		return nil
	}
	for _, s := range l.segments {
		if s != l.active && s.newest.Before(limit) {
			old = append(old, s)
		}
	}
	return old
}

// evict deletes a segment that cursors may still need. First no reader gets
// more of it, then their owner is told what they lose, then the file goes, for
// good: what is counted as lost is not to come back. After an error the file
// still takes its room; nobody reads it, and the next try tells nobody again.
func (l *Log) evict(s *segment, reason Reason) error {
	if reason == EvictMemory && s.doubt {
		l.unrescue(s)
		return nil
	}
	for _, c := range l.losers(s) {
		l.o.OnEvict(c.name, reason, l.lostFrames(s, c))
	}
	if err := l.discard(s); err != nil {
		return fmt.Errorf("evict segment %d: %w", s.first, err)
	}
	if !s.onDisk() {
		return nil
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		l.warnOnce("evicted", "deleting a segment cannot be synced; a power cut may bring it back", "file", s.path, "err", err)
		return nil
	}
	l.fine("evicted")
	return nil
}

// unrescue gives the memory of a rescued segment back: the file that could not
// be synced is still there and most likely good.
func (l *Log) unrescue(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.inMem, s.mem = false, nil
}

// losers takes the segment away from its readers and returns, once for each
// segment, the cursors that have not passed it.
func (l *Log) losers(s *segment) (losers []*Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := s.gone
	s.gone, s.marks = true, nil
	s.closeFile()
	if told || l.o.OnEvict == nil {
		return nil
	}
	for _, c := range l.cursors {
		if !covers(c.state.Acked, s.first, s.end) {
			losers = append(losers, c)
		}
	}
	slices.SortFunc(losers, func(a, b *Cursor) int { return strings.Compare(a.name, b.name) })
	return losers
}

// lostFrames yields the frames of s that c has not acknowledged, with the
// heads and keys they need.
func (l *Log) lostFrames(s *segment, c *Cursor) iter.Seq[Frame] {
	return func(yield func(Frame) bool) {
		acked := c.State().Acked
		r := &Reader{log: l, only: true}
		r.enter(s)
		defer r.Close()
		for f, ok := r.Next(); ok; f, ok = r.Next() {
			f.Acked = covers(acked, f.Seq, f.Seq+1)
			if (!f.Acked || f.Kind != Data) && !yield(f) {
				return
			}
		}
	}
}

// trim deletes the segments that every opened cursor has passed and no orphan holds. Before the
// last durable one goes, a newer one is synced: the log's last heads must
// outlive a power cut, or what vanished meanwhile would never be known.
func (l *Log) trim() {
	passed := l.passed()
	if len(passed) == 0 {
		return
	}
	if !l.durableWithout(passed) {
		l.syncActive()
		if !l.durableWithout(passed) {
			passed = passed[:len(passed)-1]
		}
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	for _, s := range passed {
		if !l.drop(s) {
			return
		}
	}
	l.fine("unlink")
}

// drop deletes a passed segment, unless an eviction was faster. That is not
// synced: one that comes back is still passed.
func (l *Log) drop(s *segment) bool {
	if s.dropped {
		return true
	}
	if err := l.discard(s); err != nil {
		l.warnOnce("unlink", "passed segment cannot be deleted", "file", s.path, "err", err)
		return false
	}
	return true
}

// discard deletes the file of s, where it has one, and takes s out of the log.
func (l *Log) discard(s *segment) error {
	if s.onDisk() {
		if err := l.remove(s.path); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.closeFile()
	s.dropped, s.marks = true, nil
	if s.gone {
		s.mem = nil // else a reader in it reads on
	}
	l.segments = slices.DeleteFunc(l.segments, func(x *segment) bool { return x == s })
	l.changedLocked()
	return nil
}

// passed returns the segments that nobody needs, oldest first. Without a
// cursor that is all but the last two. Before the first Roll none is.
func (l *Log) passed() (passed []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == nil {
		return nil
	}
	for i, s := range l.segments {
		if s != l.active && (len(l.cursors) > 0 || i < len(l.segments)-2) && l.passedLocked(s.first, s.end) {
			passed = append(passed, s)
		}
	}
	return passed
}

// unneeded reports whether there are cursors and all have passed s.
func (l *Log) unneeded(s *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.cursors) > 0 && l.passedLocked(s.first, s.end)
}

// passedLocked reports whether every opened cursor has the numbers, and no
// orphan holds them.
func (l *Log) passedLocked(from, to uint64) bool {
	for _, c := range l.cursors {
		if !covers(c.state.Acked, from, to) {
			return false
		}
	}
	now := time.Now()
	for _, o := range l.orphans {
		if o.holds(from, to, now) {
			return false
		}
	}
	return true
}

// durableWithout reports whether a segment other than those is known to be on
// disk.
func (l *Log) durableWithout(those []*segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if !s.inMem && !s.gone && s.synced > headerSize && !slices.Contains(those, s) {
			return true
		}
	}
	return false
}

// remove deletes a file; one that is gone already is no error.
func (l *Log) remove(path string) error {
	if err := l.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
