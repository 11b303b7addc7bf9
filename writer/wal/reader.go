package wal

import (
	"encoding/binary"
	"slices"
	"time"
)

// Reader reads the log from some segment on. It belongs to one goroutine.
// Close frees its file early; without it the garbage collector does.
type Reader struct {
	log  *Log
	from uint64
	only bool // stays in its segment, and waits for nothing

	seg  *segment
	file file   // of seg, once needed
	buf  []byte // bytes of seg; buf[pos] lies at at
	pos  int
	at   int64
	end  int64  // committed bytes of seg, as last seen
	last uint64 // number of the last intact frame

	skipped  int64 // bytes since that frame
	damage   Damage
	lost     Damage // of the segments before
	failing  time.Time
	patient  bool // no longer: a failing read of this segment was waited for
	stuck    bool // a read failed just now
	unread   bool // a block was given up
	finished bool // nothing will be appended to seg
}

// Damage is what could not be read.
type Damage struct {
	Frames uint64 // numbers missing where damaged bytes lie
	Bytes  int64  // bytes that belong to no intact frame
}

const (
	readChunk    = 128 << 10
	readPatience = time.Minute // how long a failing read may delay what comes after it
	blockSize    = 4096        // what a failing read costs at least
)

// Reader returns a reader that begins at the start of the segment which holds
// from, or holds the next frame after it: heads and keys come along, and it is
// the consumer who tells frames below from apart.
func (l *Log) Reader(from uint64) *Reader { return &Reader{log: l, from: from} }

// Next returns the next frame in log order, or false when there is none yet.
// Damaged bytes are skipped and counted. A segment that was evicted is left at
// once, since its frames have been counted as lost; one that all cursors had
// passed stays readable to its end where the reader is in it already. When the
// disk fails to read, Next returns false for a minute before it gives blocks of
// the segment up; while a file cannot be opened, it waits.
func (r *Reader) Next() (Frame, bool) {
	if r.seg == nil && !r.start() {
		return Frame{}, false
	}
	r.stuck = false
	r.leaveGone()
	for {
		if f, ok := r.scan(); ok {
			return f, true
		}
		if r.stuck || !r.refresh() && !r.advance() {
			return Frame{}, false
		}
	}
}

// Lost returns what could not be read so far.
func (r *Reader) Lost() Damage {
	return Damage{r.lost.Frames + r.damage.Frames, r.lost.Bytes + r.damage.Bytes}
}

// Close frees what the reader holds. Next must not be called after it.
func (r *Reader) Close() {
	r.closeFile()
	r.buf = nil
}

func (r *Reader) start() bool {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return false
	}
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.end > r.from })
	if i < 0 {
		i = len(l.segments) - 1
	}
	r.enterLocked(l.segments[i])
	return true
}

// leaveGone passes over what is buffered of a segment that was evicted.
func (r *Reader) leaveGone() {
	r.log.mu.Lock()
	gone := r.seg.gone && !r.only
	r.log.mu.Unlock()
	if gone {
		r.pass(r.end - r.at)
	}
}

func (r *Reader) enter(s *segment) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.enterLocked(s)
}

func (r *Reader) enterLocked(s *segment) {
	r.seg, r.at, r.end, r.last = s, headerSize, s.size, s.first-1
	r.buf, r.pos, r.skipped, r.damage = r.buf[:0], 0, 0, Damage{}
	r.patient, r.failing, r.unread = !r.only, time.Time{}, false
	if cap(r.buf) > 1<<20 {
		r.buf = nil // a rare large frame had blown it up
	}
}

// scan returns the next intact frame below the committed end.
func (r *Reader) scan() (Frame, bool) {
	for r.end-r.at >= frameHeader {
		if !r.fill(frameHeader) {
			return Frame{}, false
		}
		hi := r.last + 1 + uint64(r.skipped)/frameHeader
		size, ok := plausible(r.buf[r.pos:], r.end-r.at, r.last+1, hi)
		if ok && !r.fill(size) {
			return Frame{}, false
		}
		if ok && intact(r.buf[r.pos:r.pos+size]) {
			return r.take(size), true
		}
		r.skip(r.hop())
	}
	r.skip(r.end - r.at)
	return Frame{}, false
}

// take hands out the frame of size bytes at the position.
func (r *Reader) take(size int) Frame {
	b := r.buf[r.pos : r.pos+size : r.pos+size]
	seq := binary.LittleEndian.Uint64(b[9:])
	r.damage.Frames += seq - r.last - 1
	r.damage.Bytes += r.skipped
	r.last, r.skipped = seq, 0
	r.pos += size
	r.at += int64(size)
	return Frame{Seq: seq, Kind: Kind(b[8]), Payload: b[frameHeader:], Segment: r.seg.first}
}

// hop returns how far it is to the next bytes in the buffer that deserve a
// closer look: a known kind behind a possible length.
func (r *Reader) hop() (n int64) {
	b := r.buf[r.pos:]
	i := 1
	for i+frameHeader <= len(b) && (b[i+8]-1 > byte(Data)-1 || b[i+3] > maxPayload>>24) {
		i++
	}
	return int64(i)
}

// skip passes over n bytes that are no frame.
func (r *Reader) skip(n int64) {
	if n <= 0 {
		return
	}
	r.skipped += n
	r.pass(n)
}

func (r *Reader) pass(n int64) {
	r.at += n
	r.pos = int(min(int64(r.pos)+n, int64(len(r.buf))))
}

// refresh learns how far the segment goes by now. Its end is always the end
// of a frame, so that no frame lies across what was seen before.
func (r *Reader) refresh() (more bool) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	r.finished = r.seg != l.active
	if r.seg.gone || r.seg.size <= r.end {
		return false
	}
	r.end = r.seg.size
	return true
}

// advance goes to the next segment, once this one is finished.
func (r *Reader) advance() bool {
	if r.only || !r.finished {
		return false
	}
	left := r.seg
	found, ok := r.step()
	if found.Bytes > 0 {
		r.log.o.Logger.Warn("damaged bytes in the log were skipped", "file", left.path, "bytes", found.Bytes, "frames", found.Frames)
	}
	return ok
}

func (r *Reader) step() (found Damage, ok bool) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.firstAfterLocked(r.seg.first)
	if i == len(l.segments) {
		return Damage{}, false
	}
	found = r.leaveLocked()
	r.enterLocked(l.segments[i])
	return found, true
}

// leaveLocked settles the segment and returns its damage, to the first reader
// that finds it. What a reader went through without finding more frames has no
// more of them: nobody need acknowledge more.
func (r *Reader) leaveLocked() (found Damage) {
	s := r.seg
	r.closeFile()
	if s.gone {
		r.lost = r.Lost()
		return Damage{}
	}
	if r.skipped > 0 {
		r.damage.Bytes += r.skipped
		r.damage.Frames += min(s.end-min(s.end, r.last+1), uint64(r.skipped)/frameHeader)
	}
	if !r.unread {
		s.end = r.last + 1
	}
	r.lost = r.Lost()
	if s.counted {
		return Damage{}
	}
	s.counted = true
	r.log.stats.Damage.Frames += r.damage.Frames
	r.log.stats.Damage.Bytes += r.damage.Bytes
	return r.damage
}
