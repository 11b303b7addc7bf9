package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"time"
)

// Append writes one frame at the end of the active segment in a single
// write(2) and returns its number. A Head is written twice, as two frames in
// that one write; the number returned is the first's, the second has the next.
// The payload is free again when Append returns.
//
// ErrTooLarge and an unknown kind leave the log as it was. After any other
// error nothing of the frame is visible, the segment is retired, and every
// Append fails with ErrNoSegment until Roll; the numbers are not used again,
// since the disk may have kept what it refused.
func (l *Log) Append(kind Kind, payload []byte) (seq uint64, err error) {
	if len(payload) > maxPayload {
		return 0, fmt.Errorf("append %d bytes: %w", len(payload), ErrTooLarge)
	}
	if kind < Head || kind > Data {
		return 0, fmt.Errorf("append: frame kind %d, want %d to %d", kind, Head, Data)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	s, seq, err := l.appendTo()
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	b, copies := appendFrame(l.scratch(), kind, seq, payload), uint64(1)
	if kind == Head {
		b, copies = appendFrame(b, kind, seq+1, payload), 2
	}
	if err := l.write(s, b); err != nil {
		l.retire(s, copies)
		if !s.inMem {
			l.refusal, l.refused = err, time.Now()
		}
		return 0, fmt.Errorf("append frame %d to segment %d: %w", seq, s.first, err)
	}
	l.commit(s, copies, int64(len(b)), time.Now())
	return seq, nil
}

// scratch returns the empty write buffer and lets go of one that a rare large
// frame has blown up.
func (l *Log) scratch() []byte {
	if cap(l.buf) > 1<<20 {
		l.buf = nil
	}
	return l.buf[:0]
}

func (l *Log) appendTo() (*segment, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0, ErrClosed
	}
	if l.active == nil {
		return nil, 0, ErrNoSegment
	}
	return l.active, l.next, nil
}

// write puts b behind the committed bytes of s, in memory or on disk.
func (l *Log) write(s *segment, b []byte) error {
	l.buf = b
	if s.inMem {
		if err := l.reserveMemory(int64(len(b))); err != nil {
			return err
		}
		l.mu.Lock()
		s.mem = append(s.mem, b...)
		l.mu.Unlock()
		return nil
	}
	if err := l.reserveDisk(int64(len(b))); err != nil {
		return err
	}
	l.mu.Lock()
	f := s.file
	l.mu.Unlock()
	if f == nil {
		return ErrNoSegment // a failed sync has retired it just now
	}
	n, err := f.Write(b)
	err = errors.Join(err, shortWrite(n, len(b)))
	if err == nil && l.o.SyncInterval == 0 {
		err = l.syncFile(s, s.size+int64(n))
	}
	if err != nil {
		l.mu.Lock()
		s.extra += int64(n)
		l.mu.Unlock()
	}
	return err
}

// commit shows what was written to readers.
func (l *Log) commit(s *segment, frames uint64, bytes int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next += frames
	s.end, s.newest = l.next, now
	s.size += bytes
	if !s.inMem && l.o.SyncInterval > 0 {
		l.markLocked(s, now)
	}
	l.changedLocked()
}

// retire ends a segment whose write failed.
func (l *Log) retire(s *segment, frames uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next += frames
	l.stats.AppendErrors++
	if l.active == s {
		l.active = nil
	}
	l.changedLocked()
}

// Roll begins a new segment with the given heads: the segment header, all
// heads once, all heads again, in one write. The segment before takes no more
// frames. When the disk refuses, the new segment is kept in memory and Roll
// succeeds; it fails only when the heads do not fit there either or after
// Close, and then there is no active segment.
func (l *Log) Roll(heads [][]byte) error {
	for _, h := range heads {
		if len(h) > maxPayload {
			return fmt.Errorf("roll: head of %d bytes: %w", len(h), ErrTooLarge)
		}
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.isClosed() {
		return fmt.Errorf("roll: %w", ErrClosed)
	}
	l.mu.Lock()
	l.active = nil
	l.mu.Unlock()
	err := l.rollOnDisk(heads)
	if err == nil {
		return nil
	}
	l.warnOnce("memory", "disk refuses; keeping frames in memory until it takes them again",
		"dir", l.dir, "limit_bytes", l.o.MemoryLimit, "err", err)
	if memErr := l.rollOn(heads, true); memErr != nil {
		return fmt.Errorf("roll: %w", errors.Join(err, memErr))
	}
	return nil
}

// rollOnDisk tries the disk, unless it refused a moment ago: a full one may
// have room for the heads but not for what comes after them.
func (l *Log) rollOnDisk(heads [][]byte) error {
	now := time.Now()
	if l.refusal != nil && now.Sub(l.refused) < houseInterval {
		return l.refusal
	}
	l.refusal = nil
	err := l.returnToDisk()
	if err == nil {
		err = l.rollOn(heads, false)
	}
	if err != nil {
		l.refusal, l.refused = err, now
	}
	return err
}

// rollOn makes the next segment on disk or in memory.
func (l *Log) rollOn(heads [][]byte, inMem bool) error {
	now := time.Now()
	first := l.freeName()
	s := &segment{first: first, end: first, path: filepath.Join(l.dir, segmentName(first)), inMem: inMem, newest: now}
	b := rollBytes(l.scratch(), heads, first, now.UnixMilli())
	err := l.begin(s, b)
	if err != nil {
		l.mu.Lock()
		l.next += uint64(2*len(heads)) + 1 // a file that could not be removed keeps its name
		l.mu.Unlock()
		return fmt.Errorf("begin segment %d: %w", first, err)
	}
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.active = s
	l.mu.Unlock()
	l.commit(s, uint64(2*len(heads)), int64(len(b)), now)
	return nil
}

// freeName returns the number of the next frame, which names its segment. One
// without frames has taken its name along.
func (l *Log) freeName() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1].first == l.next {
		l.next++
	}
	return l.next
}

// rollBytes builds the beginning of a segment. The two copies of the heads
// lie apart, so that one damaged block cannot hit both.
func rollBytes(b []byte, heads [][]byte, first uint64, createdMS int64) []byte {
	b = appendHeader(b, first, createdMS)
	for range 2 {
		for _, h := range heads {
			b = appendFrame(b, Head, first, h)
			first++
		}
	}
	return b
}

// begin creates the file of s, where it has one, and writes b to it. After an
// error nothing is left of it, unless the disk refuses that too.
func (l *Log) begin(s *segment, b []byte) error {
	if s.inMem {
		return l.write(s, b)
	}
	if err := l.reserveDisk(int64(len(b))); err != nil {
		l.buf = b
		return err
	}
	f, err := l.fs.Create(s.path)
	if err != nil {
		l.buf = b
		return err
	}
	l.mu.Lock()
	l.dirDirty++
	s.file = f
	l.mu.Unlock()
	if err := l.write(s, b); err != nil {
		f.Close()
		l.remove(s.path)
		return err
	}
	return nil
}

// firstAfterLocked returns the position of the first segment whose number is above
// first.
func (l *Log) firstAfterLocked(first uint64) int {
	return sort.Search(len(l.segments), func(i int) bool { return l.segments[i].first > first })
}
