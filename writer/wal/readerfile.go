package wal

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"
)

// fill makes n bytes available at the position. The caller knows that they lie
// below the committed end.
func (r *Reader) fill(n int) bool {
	for len(r.buf)-r.pos < n {
		have := len(r.buf) - r.pos
		want := int(min(r.end-r.at, int64(max(n, readChunk, cap(r.buf)))))
		r.buf = slices.Grow(append(r.buf[:0], r.buf[r.pos:]...), want-have)[:want]
		r.pos = 0
		got := r.read(r.buf[have:], r.at+int64(have))
		r.buf = r.buf[:have+got]
		if got == 0 {
			return false
		}
	}
	return true
}

// read fills p from the segment at off and returns how much; 0 when it has to
// wait or to leave.
func (r *Reader) read(p []byte, off int64) int {
	l := r.log
	l.mu.Lock()
	gone, dropped, inMem, mem := r.seg.gone, r.seg.dropped, r.seg.inMem, r.seg.mem
	l.mu.Unlock()
	if gone && !r.only { // one that stays in it reads what is lost
		r.pass(r.end - r.at)
		return 0
	}
	if inMem {
		r.closeFile() // when the bytes are back on disk it is in another file
		return copy(p, mem[off:])
	}
	n, err := r.readFile(p, off)
	switch {
	case n == len(p):
		r.failing = time.Time{}
		return n
	case errors.Is(err, fs.ErrNotExist):
		r.missing(dropped)
		return 0
	case err == io.EOF: // the file is shorter than it was
		clear(p[n:])
		return len(p)
	}
	if r.patient && r.wait(off+int64(n), err) {
		return 0
	}
	return r.giveUp(p, n, off)
}

func (r *Reader) closeFile() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

func (r *Reader) readFile(p []byte, off int64) (n int, err error) {
	if r.file == nil {
		if r.file, err = r.log.fs.Open(r.seg.path); err != nil {
			return 0, err
		}
	}
	return r.file.ReadAt(p, off)
}

// missing passes over the rest of a segment whose file is gone: rightly so
// when every cursor had passed it.
func (r *Reader) missing(dropped bool) {
	if dropped {
		r.pass(r.end - r.at)
		return
	}
	r.skip(r.end - r.at)
}

// wait reports whether a failing read may still recover. A file that cannot be
// opened is no bad block: there is nothing to skip, and eviction ends the wait
// if nothing else does.
func (r *Reader) wait(at int64, err error) bool {
	if r.failing.IsZero() {
		r.failing = time.Now()
		r.log.o.Logger.Warn("log cannot be read; trying again", "file", r.seg.path, "offset", at, "err", err)
	}
	r.stuck = r.file == nil || time.Since(r.failing) < readPatience
	r.patient = r.stuck
	return r.stuck
}

// giveUp turns the unreadable block at off+n into zeros, which are no frame.
func (r *Reader) giveUp(p []byte, n int, off int64) int {
	r.unread = true
	to := len(p) // at Open there is no time for each block
	if !r.only {
		to = min(to, n+int(blockSize-(off+int64(n))%blockSize))
	}
	clear(p[n:to])
	return to
}
