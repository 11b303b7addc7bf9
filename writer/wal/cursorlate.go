package wal

import "slices"

// adopt joins a cursor that was opened without its file with what the file
// says: of the numbers before the cursor only what the file acknowledges is.
// If that is not all, there is more to read, from Rewound on.
func (c *Cursor) adopt() {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.log.mu.Lock()
	ready := c.ready
	c.log.mu.Unlock()
	if ready {
		return
	}
	disk := c.load()
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.ready, c.dirty = true, true
	c.state.Acked = normalize(append(clip(disk.Acked, 0, c.blind), clip(c.state.Acked, c.blind, maxSeq)...))
	if c.state.Protocol == "" {
		c.state.Protocol = disk.Protocol
	}
	if covers(c.state.Acked, 0, c.blind) {
		c.blind = 0
		return
	}
	c.found = disk
	c.log.changedLocked()
}

// Rewound returns, once, the state to start anew from when the log's directory
// was found late and the cursor's file leaves numbers open below those that the
// caller knows of. Acked joins both; the rest is what the file said. Until this
// call, whatever Save is given, the disk's word stands for the old numbers; from
// here on Save is taken literally.
func (c *Cursor) Rewound() (s State, ok bool) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.blind == 0 || !c.ready {
		return State{}, false
	}
	s = c.found
	s.Acked = slices.Clone(c.state.Acked)
	c.blind, c.found = 0, State{}
	return s, true
}

// clip returns the parts of ranges that lie from lo to hi.
func clip(ranges []Range, lo, hi uint64) (out []Range) {
	for _, r := range ranges {
		if r = (Range{max(r.From, lo), min(r.To, hi)}); r.From < r.To {
			out = append(out, r)
		}
	}
	return out
}
