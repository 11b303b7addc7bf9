package wal

import "time"

// Stats is what the log tells about itself. Counters count since Open.
type Stats struct {
	Bytes       int64 // on disk: everything in the directory
	Segments    int   // on disk and in memory
	MemoryBytes int64 // of segments that the disk did not take yet
	SetAside    int   // files named like a segment that this program cannot read

	Syncs        uint64
	SyncErrors   uint64
	SyncTotal    time.Duration // how long all of them took
	AppendErrors uint64        // writes the disk (or the memory limit) refused
	CursorErrors uint64
	Damage       Damage // found by readers, each segment once

	OnDisk  bool // the directory is ours and new frames go there
	Unclean bool // the process before did not Close
}

// Stats returns the log's figures. The caller owns them.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Bytes = l.other
	s.Segments = len(l.segments)
	s.OnDisk = l.lock != nil && (l.active == nil || !l.active.inMem)
	for _, seg := range l.segments {
		s.Bytes += seg.disk()
		s.MemoryBytes += int64(len(seg.mem))
	}
	return s
}
