package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
)

// Range is a run of sequence numbers, From inclusive, To exclusive.
type Range struct{ From, To uint64 }

// State is how far a receiver has got.
type State struct {
	Acked    []Range // ascending and apart once saved; at most 16, the shortest beyond them are forgotten
	InFlight Range   // sent, answer not seen; zero: none
	Protocol string  // what the receiver negotiated, at most 64 bytes
	BootID   [16]byte
	Clean    bool // saved on a clean stop
}

// Cursor is one receiver's position. Its methods are safe for concurrent use.
type Cursor struct {
	log  *Log
	name string
	path string

	saving     sync.Mutex // held over writes; before Log.mu
	file       file
	generation uint64 // of the newest whole slot
	clean      bool   // a power cut now may leave a state that says Clean
	noted      bool   // the last failure to write was logged

	// Log.mu guards:
	state State
	dirty bool   // the disk does not have state
	ready bool   // what the disk had was read
	blind uint64 // > 0: the caller does not know what the disk says of numbers below it
	found State  // what the disk said when it came late, until the caller knows
}

// Cursor opens the cursor of a receiver, or makes it. A new one begins at the
// end of the log, one whose file cannot be read at its beginning: what is sent
// twice is better than what is lost. An opened cursor holds every segment that
// it has not passed. The same name gives the same cursor. The error is always
// about the name.
func (l *Log) Cursor(name string) (*Cursor, error) {
	if name == "" {
		return nil, errors.New("open cursor: empty name")
	}
	l.mu.Lock()
	c := l.cursors[name]
	attached := l.lock != nil
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c = &Cursor{log: l, name: name, path: filepath.Join(l.dir, cursorName(name))}
	var state State
	if attached {
		state, c.ready = c.load(), true
	} else {
		end := l.End()
		state, c.blind, c.dirty = State{Acked: []Range{{0, end}}}, end, true
	}
	l.mu.Lock()
	if earlier := l.cursors[name]; earlier != nil { // opened at the same moment
		l.mu.Unlock()
		return earlier, nil
	}
	c.state = state
	l.cursors[name] = c
	delete(l.orphans, cursorName(name))
	l.raiseLocked(state.end())
	l.mu.Unlock()
	if c.generation == 0 && attached {
		c.create()
	}
	return c, nil
}

// raiseLocked keeps a cursor that could not be read at Open from hiding new
// frames. Within a segment numbers have no gap, so the active one ends.
func (l *Log) raiseLocked(end uint64) {
	if end > l.next {
		l.next, l.active = end, nil
	}
}

// load reads the cursor's file.
func (c *Cursor) load() State {
	s, err := c.log.readCursor(c.path)
	if err == nil && s.name != cutName(c.name) {
		err = fmt.Errorf("it belongs to %q", s.name)
	}
	switch {
	case err == nil:
		c.generation, c.clean = s.generation, s.state.Clean
		return s.state
	case errors.Is(err, fs.ErrNotExist):
		return State{Acked: []Range{{0, c.log.End()}}}
	}
	c.log.o.Logger.Warn("cursor cannot be read; sending everything the log still holds",
		"receiver", c.name, "file", c.path, "err", err)
	return State{Acked: []Range{{0, c.log.begins()}}}
}

// begins returns the first number the log still holds.
func (l *Log) begins() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return l.next
	}
	return l.segments[0].first
}

func (l *Log) readCursor(path string) (slot, error) {
	f, err := l.fs.Open(path)
	if err != nil {
		return slot{}, err
	}
	defer f.Close()
	b := make([]byte, 2*slotSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return slot{}, err
	}
	return decodeCursor(b[:n])
}

// create makes a new cursor durable, once, so that a receiver which hears of
// nothing before the next start still begins where it was born.
func (c *Cursor) create() {
	c.save()
	c.saving.Lock()
	defer c.saving.Unlock()
	if c.file == nil {
		return
	}
	if err := errors.Join(c.file.Sync(), c.log.fs.SyncDir(c.log.dir)); err != nil {
		c.log.o.Logger.Warn("new cursor cannot be synced", "receiver", c.name, "err", err)
	}
}

// State returns what was saved last. The caller owns the copy.
func (c *Cursor) State() State {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	s := c.state
	s.Acked = slices.Clone(s.Acked)
	return s
}

// Save replaces the state, with one pwrite and no sync unless Clean is set or
// taken back. When the disk refuses, the state is kept in memory, counted and
// written later; the error is only about a state that makes no sense, which
// changes nothing.
func (c *Cursor) Save(s State) error {
	s.Acked = normalize(s.Acked)
	if !s.valid() || len(s.Protocol) > maxProtocol {
		return fmt.Errorf("save cursor %s: ranges must rise and end below %d, protocol %q must have at most %d bytes",
			c.name, uint64(maxSeq), s.Protocol, maxProtocol)
	}
	c.log.mu.Lock()
	if c.blind > 0 && c.ready {
		s.Acked = normalize(append(clip(s.Acked, c.blind, maxSeq), clip(c.state.Acked, 0, c.blind)...))
	}
	c.state = s
	c.log.mu.Unlock()
	c.save()
	return nil
}

// save writes the state as it is now.
func (c *Cursor) save() {
	c.saving.Lock()
	defer c.saving.Unlock()
	l := c.log
	l.mu.Lock()
	s, can := slot{c.generation + 1, c.name, c.state}, c.ready && !l.closed
	c.dirty = true
	l.mu.Unlock()
	if !can {
		return
	}
	err := c.write(s)
	l.mu.Lock()
	c.dirty = err != nil
	if err != nil {
		l.stats.CursorErrors++
	}
	l.mu.Unlock()
	if err != nil && !c.noted {
		l.o.Logger.Warn("cursor cannot be written; its state is kept in memory", "receiver", c.name, "file", c.path, "err", err)
	}
	c.noted = err != nil
}

// write puts s into the slot that does not hold the newest whole one. The
// first write fills both, so that the file never grows again.
func (c *Cursor) write(s slot) (err error) {
	if c.file == nil {
		if c.file, err = c.log.fs.OpenInPlace(c.path); err != nil {
			return err
		}
	}
	b, off := encodeSlot(s), int64(s.generation%2)*slotSize
	if c.generation == 0 {
		b, off = append(b, b...), 0
	}
	if n, err := c.file.WriteAt(b, off); err != nil || n < len(b) {
		return errors.Join(err, shortWrite(n, len(b)))
	}
	c.generation = s.generation
	c.clean = c.clean || s.state.Clean
	if !c.clean {
		return nil
	}
	if err = c.file.Sync(); err == nil {
		c.clean = s.state.Clean
	}
	return err
}

func shortWrite(n, want int) error {
	if n < want {
		return io.ErrShortWrite
	}
	return nil
}

func (c *Cursor) close() {
	c.saving.Lock()
	defer c.saving.Unlock()
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// saveDirty writes the cursors that the disk refused.
func (l *Log) saveDirty() {
	l.mu.Lock()
	var dirty []*Cursor
	for _, c := range l.cursors {
		if c.dirty {
			dirty = append(dirty, c)
		}
	}
	l.mu.Unlock()
	for _, c := range dirty {
		c.save()
	}
}
