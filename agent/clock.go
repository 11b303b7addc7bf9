package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock is where rounds take the time from; tests step and suspend it.
type clock struct {
	wall func() time.Time     // may step
	boot func() time.Duration // CLOCK_BOOTTIME: never steps, runs on while the machine is suspended
}

// systemClock reads the kernel's clocks.
func systemClock() clock { return clock{wall: time.Now, boot: bootTime} }

// bootTime returns the time since boot, suspensions included. The clock is
// there since Linux 2.6.39.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("agent: read CLOCK_BOOTTIME: " + err.Error())
	}
	return time.Duration(ts.Nano())
}

// pace says when the rounds of a source are due: at the wall clock's multiples
// of the interval plus the splay, so that rounds of one host keep their
// places over restarts and rounds of a fleet do not meet.
//
// It looks at the wall clock anew before each round and waits by monotonic
// time. A slewed clock is followed; after a step the next round is at the new
// clock's place, half an interval to one and a half after the last one.
type pace struct {
	clock    clock
	interval time.Duration
	splay    time.Duration // 0 to interval
	started  time.Duration // clock.boot at the start of the last round
	any      bool          // there was one
}

// wait returns the time until the next round is due. It is at least half an
// interval after the start of the last, so that a timer that fired early does
// not make two rounds of one.
func (p *pace) wait() time.Duration {
	var least time.Duration
	if p.any {
		least = max(0, p.interval/2-(p.clock.boot()-p.started))
	}
	into := time.Duration(p.clock.wall().Add(least-p.splay).UnixNano()) % p.interval
	if into < 0 { // before 1970
		into += p.interval
	}
	return least + p.interval - into
}

// start notes that a round starts and returns how many should have started
// since the last one: those are skipped, not made up.
func (p *pace) start() (skipped int) {
	now := p.clock.boot()
	if p.any {
		// A quarter of an interval more than missing is no round: after a
		// step of the clock one and a half intervals are in order.
		skipped = max(0, int((now-p.started+p.interval/4)/p.interval)-1)
	}
	p.started, p.any = now, true
	return skipped
}
