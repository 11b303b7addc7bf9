package wal

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// segment is one file of frames, or the bytes of one that has no file yet.
// first and path never change; Log.mu guards the rest, and Log.writing alone is
// enough to read inMem, mem, gone and dropped.
type segment struct {
	first uint64
	path  string

	end     uint64    // one past the number of its last committed frame
	size    int64     // committed bytes: what readers may see
	extra   int64     // bytes of a failed write behind them
	inMem   bool      // mem holds the bytes; path does not exist, or is in doubt
	mem     []byte    // append-only, so that a reader may keep what it saw
	file    file      // open for writing, until nothing is left to sync; nil for an old segment
	synced  int64     // bytes known to be durable
	doubt   bool      // a sync failed: syncing it again would only pretend
	rescued bool      // its bytes were read back after that, or could not be
	tried   bool      // writeOut may have left a file
	marks   []mark    // frames not known to be durable, ascending
	newest  time.Time // of its last append
	gone    bool      // evicted and counted as lost: nobody reads it, its file may still be there
	dropped bool      // no longer in the log
	counted bool      // its damage is in the stats
}

// mark remembers when a frame was appended.
type mark struct {
	seq  uint64
	time time.Time
}

func (s *segment) closeFile() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// onDisk reports whether s has a file.
func (s *segment) onDisk() bool { return !s.inMem || s.doubt }

// disk returns the bytes that s takes on disk.
func (s *segment) disk() int64 {
	if !s.onDisk() {
		return 0
	}
	return s.size + s.extra
}

// listing is what one look at a directory found.
type listing struct {
	segments []*segment // ascending, those of this format only
	other    int64      // bytes of everything else
	aside    int        // files named like a segment that are not ours to touch
	next     uint64     // no number from here on was ever used
	orphans  map[string]orphan
}

// list looks at every file of the directory. It changes none, but for what a
// crash left of a writeOut.
func (l *Log) list(now time.Time) (listing, error) {
	entries, err := l.fs.List(l.dir)
	if err != nil {
		return listing{}, err
	}
	d := listing{next: 1, orphans: make(map[string]orphan)}
	for _, e := range entries { // in lexical order, which is that of the numbers
		if first, ok := parseName(e.name); ok && e.regular && l.known(e, first) {
			d.segments = append(d.segments, l.oldSegment(e, first, now))
			d.next = max(d.next, first+1) // a name is never used again
			continue
		} else if ok {
			d.aside++
			d.next = max(d.next, first+uint64(e.size)/frameHeader+1) // more frames than it can hold
		}
		if l.removeLeftover(d, e) {
			continue
		}
		d.other += e.size
		if e.regular && isCursorName(e.name) {
			if s, err := l.readCursor(filepath.Join(l.dir, e.name)); err == nil {
				d.next = max(d.next, s.state.end())
				d.orphans[e.name] = orphan{s.name, s.state.Acked, now.Add(orphanKept - age(now, e.modified))}
			}
		}
	}
	l.findEnds(&d)
	return d, nil
}

func (l *Log) oldSegment(e entry, first uint64, now time.Time) *segment {
	return &segment{first: first, path: filepath.Join(l.dir, e.name), end: first, size: e.size,
		synced: e.size, newest: now.Add(-age(now, e.modified))}
}

// age is how long ago an old file was written. The clock may have been wrong
// then or may be so now; what cannot be is no age, and from here on the
// monotonic clock counts.
func age(now, modified time.Time) time.Duration {
	const firstRelease = 1735689600 // 2025-01-01: a clock before it is not set
	if modified.Unix() < firstRelease || modified.After(now) {
		return 0
	}
	return now.Sub(modified)
}

// findEnds fills in the ends of old segments: the next one's beginning, and
// for the last that has frames what its frames say.
func (l *Log) findEnds(d *listing) {
	for i := len(d.segments) - 1; i >= 0; i-- {
		s := d.segments[i]
		if i+1 < len(d.segments) {
			s.end = d.segments[i+1].first
			continue
		}
		r := &Reader{log: l, only: true}
		r.enter(s)
		for f, ok := r.Next(); ok; f, ok = r.Next() {
			s.end = f.Seq + 1
		}
		if r.unread { // what could not be read may come back
			s.end = r.last + 1 + uint64(r.skipped)/frameHeader
		}
		r.Close()
		d.next = max(d.next, s.end)
	}
}

// known reports whether the file is a segment that this program may read and,
// one day, delete: its header is intact, or its frames are. An empty file is
// one whose content a power cut took.
func (l *Log) known(e entry, first uint64) bool {
	if e.size == 0 {
		return true
	}
	state, err := l.inspect(e, first)
	if state == headerIntact && err == nil {
		return true
	}
	if state == headerDamaged && l.hasFrame(e, first) {
		l.warnOnce(e.name, "segment header is damaged; its frames are still read", "file", e.name, "err", err)
		return true
	}
	l.warnOnce(e.name, "file is not a segment this program can read; it is left alone", "file", e.name, "err", err)
	return false
}

func (l *Log) inspect(e entry, first uint64) (headerState, error) {
	f, err := l.fs.Open(filepath.Join(l.dir, e.name))
	if err != nil {
		return headerDamaged, err
	}
	defer f.Close()
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return headerDamaged, fmt.Errorf("read header: %w", err)
	}
	return readHeader(b[:n], first)
}

// hasFrame looks for one intact frame. It looks no further than our own
// segments could possibly reach.
func (l *Log) hasFrame(e entry, first uint64) bool {
	e.size = min(e.size, 2*maxPayload)
	r := &Reader{log: l, only: true}
	r.enter(l.oldSegment(e, first, time.Time{}))
	defer r.Close()
	_, ok := r.Next()
	return ok
}

// removeLeftover removes a copy that a crash kept from replacing its segment.
func (l *Log) removeLeftover(d listing, e entry) bool {
	name, ok := strings.CutSuffix(e.name, tmpSuffix)
	if n := len(d.segments); !ok || n == 0 || filepath.Base(d.segments[n-1].path) != name {
		return false
	}
	return l.fs.Remove(filepath.Join(l.dir, e.name)) == nil
}
