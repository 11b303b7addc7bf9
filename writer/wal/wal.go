// Package wal keeps opaque frames on disk until every cursor has passed them.
//
//	 0         4        8      9     17
//	+---------+--------+------+-----+---------+
//	| length  | crc32c | kind | seq | payload |   a segment is a 32-byte header and a run of these frames
//	+---------+--------+------+-----+---------+
//
//	Append ─▶ [segment][segment][active segment] ─▶ Reader        one writer, any number of readers
//	           unlinked once                  ▲
//	           every Cursor passed            └ in memory while the disk refuses, written out when it is back
//
// The log knows kinds and sequence numbers, not contents. An accident can only
// tear the end of the newest segment; every intact frame is found again,
// whatever surrounds it. docs/wal.md has the bytes and the accidents.
package wal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Kind says what a frame is to its reader.
type Kind uint8

// The kinds of a frame.
const (
	Head Kind = 1 + iota // what later frames of the segment cannot be read without; always written twice
	Key                  // what Data frames refer to; a collection of its own
	Data                 // one collection, readable with the segment's heads and one key
)

// Frame is one entry of the log. Payload is valid until the next call of the
// reader.
type Frame struct {
	Seq     uint64
	Kind    Kind
	Payload []byte
	Segment uint64 // first sequence number of the segment that holds it
	Acked   bool   // only in OnEvict: the cursor has it; it comes along because later frames cannot be read without it
}

// The errors a caller decides by.
var (
	ErrLocked    = errors.New("in use by another process")
	ErrClosed    = errors.New("log is closed")
	ErrNoSegment = errors.New("no active segment: roll first")
	ErrTooLarge  = errors.New("payload larger than 16 MiB")
)

// Log is a log in one directory. All methods are safe for concurrent use;
// only one goroutine should call Append and Roll, because a frame belongs to
// the segment its writer thinks it is in.
type Log struct {
	dir string
	o   Options
	fs  fileSystem

	writing sync.Mutex // held over writes, evictions and unlinks; before mu
	buf     []byte     // frames of one write
	refusal error      // why the disk refused a write lately
	refused time.Time
	syncing sync.Mutex // held over fsync, so that two never meet in one file
	wake    chan struct{}

	mu        sync.Mutex // held for moments only, never over a system call
	lock      dirLock    // nil: the directory is not ours (yet), everything is in memory
	segments  []*segment // ascending
	active    *segment   // the last of segments, or nil: Roll must come first
	next      uint64     // number of the next frame
	blindFrom uint64     // > 0: the log began in memory with this number
	other     int64      // bytes in the directory that are not segments
	dirDirty  uint64     // files created since the start
	dirClean  uint64     // of them, those whose directory entry was synced
	cursors   map[string]*Cursor
	orphans   map[string]orphan // by file name
	warned    map[string]bool   // what was logged once already
	changed   chan struct{}     // nil while nobody waits
	closed    bool
	stats     Stats
}

// Open opens the log in dir and makes dir if it is missing. Nothing in it is
// changed before the first Roll: the old segments stay as they are, so that
// the last of them can be read back; and none goes before its cursors had the
// chance to be opened, if they are opened before Roll and Run.
//
// When the directory cannot be used the log starts in memory, says so, and
// tries again by itself. Errors are only ErrLocked and options that make no
// sense.
func Open(dir string, o Options) (*Log, error) { return open(dir, o, osFS{}) }

func open(dir string, o Options, fs fileSystem) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	l := &Log{dir: dir, o: o, fs: fs, wake: make(chan struct{}, 1), next: 1,
		cursors: make(map[string]*Cursor), warned: make(map[string]bool)}
	err = l.attach()
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err != nil {
		l.blindFrom = blindStart(time.Now())
		l.next = l.blindFrom
		l.o.Logger.Error("log directory cannot be used; keeping frames in memory until it can",
			"dir", dir, "limit_bytes", o.MemoryLimit, "err", err)
	}
	return l, nil
}

// Size returns the committed bytes of the active segment, by which its writer
// decides to roll; 0 when there is none.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == nil {
		return 0
	}
	return l.active.size
}

// End returns the number that the next frame gets: one past the last.
func (l *Log) End() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Changed returns a channel that is closed when the log has more to read.
// Take it before the Next that returns false, or an append in between is missed.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

func (l *Log) changedLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Run syncs what stays unacknowledged, deletes what every cursor has passed or
// what is too old, and brings the log back to a disk that works again, until
// ctx ends. It never fails.
func (l *Log) Run(ctx context.Context) error {
	keep := time.Now().Add(houseInterval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-timer.C:
		}
		ok := l.syncDue(time.Now())
		if now := time.Now(); !ok || !now.Before(keep) {
			l.keepHouse(now)
			keep = time.Now().Add(houseInterval)
		}
		timer.Reset(time.Until(l.nextSync(keep)))
	}
}

// houseInterval is how often Run deletes, and knocks at a disk that refused.
const houseInterval = 10 * time.Second

func (l *Log) keepHouse(now time.Time) {
	l.writing.Lock()
	if err := l.returnToDisk(); err == nil {
		l.refusal = nil
	} else {
		l.warnOnce("return", "disk still refuses; frames stay in memory", "dir", l.dir, "err", err)
	}
	l.evictOld(now)
	l.writing.Unlock()
	l.trim()
	l.saveDirty()
}

// Close writes out what is in memory, syncs, and gives the directory free.
// What the disk does not take is lost: OnEvict is told, and the error says how
// many bytes. Cursors stay as they were last saved. Join Run before.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.isClosed() {
		return nil
	}
	err := l.Sync()
	back := l.returnToDisk()
	if lost := l.abandonMemory(); lost > 0 {
		err = errors.Join(err, fmt.Errorf("%d bytes that were only in memory are lost: %w", lost, back))
	}
	err = errors.Join(err, l.Sync())
	l.saveDirty()
	lock := l.shut()
	for _, c := range l.opened() {
		c.close()
	}
	if lock != nil {
		err = errors.Join(err, lock.Release(true))
	}
	if err != nil {
		return fmt.Errorf("close log %s: %w", l.dir, err)
	}
	return nil
}

// abandonMemory evicts what the disk did not take, and returns how many bytes
// of it some cursor still needs.
func (l *Log) abandonMemory() (lost int64) {
	l.mu.Lock()
	l.active = nil
	l.mu.Unlock()
	for _, s := range l.inMemory() {
		if !s.doubt && !l.unneeded(s) {
			lost += int64(len(s.mem))
		}
		l.evict(s, EvictMemory) // has no file to fail on
	}
	return lost
}

// shut ends writing and hands over the lock.
func (l *Log) shut() (lock dirLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock, l.lock = l.lock, nil
	l.closed, l.active = true, nil
	for _, s := range l.segments {
		s.closeFile()
	}
	l.changedLocked()
	return lock
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// warnOnce logs a lasting condition when it begins; fine ends it.
func (l *Log) warnOnce(what, text string, args ...any) {
	l.mu.Lock()
	seen := l.warned[what]
	l.warned[what] = true
	l.mu.Unlock()
	if !seen {
		l.o.Logger.Warn(text, args...)
	}
}

func (l *Log) fine(what string) {
	l.mu.Lock()
	delete(l.warned, what)
	l.mu.Unlock()
}
