package writer

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clock is what a sender knows of time.
type clock struct {
	now  func() time.Time
	mono func() int64 // CLOCK_BOOTTIME in ms, which no clock step touches
	boot [16]byte     // of which boot mono is
}

// How far ahead of the clock a collection may be to be sent, and how far to
// wait for its time to come. Receivers refuse what is ten minutes ahead, and
// some let it move their idea of now.
const (
	mayLead   = time.Second
	mayWait   = 10 * time.Minute
	bootIDHex = 32
)

// systemClock returns the clock of the host.
func systemClock() clock {
	c := clock{now: time.Now, mono: bootTime}
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it every start counts as a boot
	c.boot, _ = parseBootID(string(text))
	return c
}

// bootTime returns the milliseconds since boot, suspended time included.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return t.Nano() / int64(time.Millisecond)
}

// parseBootID reads the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.
func parseBootID(text string) (id [16]byte, ok bool) {
	digits := strings.ReplaceAll(strings.TrimSpace(text), "-", "")
	if len(digits) != bootIDHex {
		return id, false
	}
	for i := range id {
		hi, ok1 := hexDigit(digits[2*i])
		lo, ok2 := hexDigit(digits[2*i+1])
		if !ok1 || !ok2 {
			return [16]byte{}, false
		}
		id[i] = hi<<4 | lo
	}
	return id, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
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
