package wal

import (
	"slices"
	"strings"
	"time"
)

// orphan is a cursor on disk that nobody has opened: that of a receiver which
// was renamed, or is no longer there. For a day after it was last written it
// holds its segments, within the cap, so that a name that changed by mistake
// can be given back.
type orphan struct {
	name  string
	acked []Range
	until time.Time
}

const orphanKept = 24 * time.Hour

// Orphan is a receiver that left frames in the log and has no open cursor.
type Orphan struct {
	Name   string
	Frames uint64    // about so many that it does not have
	Until  time.Time // when they may go
}

// Orphans returns the orphans whose frames the log still holds, by name. To
// be of use it is called when all cursors are open.
func (l *Log) Orphans() (list []Orphan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, o := range l.orphans {
		frames := uint64(0)
		for _, s := range l.segments {
			if o.holds(s.first, s.end, now) {
				frames += s.end - max(s.first, min(s.end, o.acked[0].To))
			}
		}
		if frames > 0 {
			list = append(list, Orphan{o.name, frames, o.until})
		}
	}
	slices.SortFunc(list, func(a, b Orphan) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// holds reports whether some of the numbers are kept for the orphan.
func (o orphan) holds(from, to uint64, now time.Time) bool {
	return now.Before(o.until) && len(o.acked) > 0 && !covers(o.acked, from, to)
}
