package writer

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock is what a sender knows of time.
type clock struct {
	now  func() time.Time
	mono func() int64 // CLOCK_BOOTTIME in ms, which no clock step touches
	boot [16]byte     // of which boot mono is; zero: unknown, as in what was collected in this boot
}

// How far ahead of the clock a collection may be to be sent, and how far to
// wait for its time to come. Receivers refuse what is ten minutes ahead, and
// some let it move their idea of now.
const (
	mayLead = time.Second
	mayWait = 10 * time.Minute
)

// systemClock returns the clock of the host in the given boot.
func systemClock(boot [16]byte) clock { return clock{now: time.Now, mono: bootTime, boot: boot} }

// bootTime returns the milliseconds since boot, suspended time included. The
// clock is there since Linux 2.6.39.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("writer: read CLOCK_BOOTTIME: " + err.Error())
	}
	return t.Nano() / int64(time.Millisecond)
}

// lead decides about a collection that may be ahead of the clock, because the
// clock was stepped back after it. It returns how long its time is to be
// waited for. What is far ahead gets the time that its age on the monotonic
// clock proves; ok is false where that clock is of another boot and proves
// nothing.
func (c clock) lead(d *decoded) (wait time.Duration, ok bool) {
	now := c.now().UnixMilli()
	ahead := time.Duration(d.time-now) * time.Millisecond
	switch {
	case ahead <= mayLead:
		return 0, true
	case ahead < mayWait:
		return ahead - mayLead, true
	case d.dict.bootID != c.boot:
		return 0, false
	}
	d.time = now - max(0, c.mono()-d.mono)
	return 0, true
}
