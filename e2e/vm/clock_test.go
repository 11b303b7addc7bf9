//go:build vm

package vm

import (
	"fmt"
	"testing"
	"time"
)

// truth is what the time really is: the guest's clock may be wrong, the time
// since its boot is not.
type truth struct{ offset int64 } // ms from the guest's boot to the epoch

// hostTruth takes the time of the host at the guest's first word.
func hostTruth(m *machine) truth { return truth{m.up.at.UnixMilli() - m.up.Boot} }

// ahead returns how far the collection was ahead of the true time when it
// arrived, and how far ahead of the guest's own clock.
func (r truth) ahead(stored message) (ofTruth, ofGuest time.Duration) {
	return time.Duration(stored.Time-(r.offset+stored.Boot)) * time.Millisecond, time.Duration(stored.Time-stored.Wall) * time.Millisecond
}

// tolerance is what the two clocks may differ by, and the rounds take.
const tolerance = 2 * time.Second

// report says what arrived, and how many collections were ahead of the true
// time. None may be ahead of the host's own clock, but for the request that was
// in hand when somebody stepped it.
func (r truth) report(t *testing.T, what string, stored []message, inHand int) (future int) {
	t.Helper()
	ahead := 0
	var least, most time.Duration
	for i, one := range stored {
		lead, own := r.ahead(one)
		if lead > tolerance {
			future++
		}
		if own > tolerance {
			ahead++
			t.Logf("%s: a collection left %s ahead of the host's own clock", what, own)
		}
		if i == 0 {
			least, most = lead, lead
		}
		least, most = min(least, lead), max(most, lead)
	}
	if ahead > inHand {
		t.Errorf("%s: %d collections left ahead of the host's own clock", what, ahead)
	}
	t.Logf("%s: %d collections, %d from the future; against the true time %s to %s", what, len(stored), future,
		least.Round(time.Second), most.Round(time.Second))
	return future
}

// A machine without a battery for its clock boots in 1970.
func TestBootIn1970(t *testing.T) {
	t.Parallel()
	m := boot(t, hardware{disk: disk(t, installed(t)), clock: "1970-01-01T00:10:00"})
	now := hostTruth(m)
	t.Logf("the board says 1970; systemd starts with %s", time.UnixMilli(m.up.Wall).UTC().Format(time.DateTime))
	m.awaitFrame()
	m.do("Receiver", "up")
	if now.report(t, "with the clock that systemd set", m.awaitStored(3), 0) > 0 {
		t.Error("from the future")
	}
	m.run("systemctl stop nodepush; date --set=@700; systemctl start nodepush")
	stored := m.awaitStored(3)
	if now.report(t, "started in 1970", stored, 0) > 0 {
		t.Error("from the future")
	}
	m.do("Receiver", "down")
	frames := len(m.seen("frame"))
	m.await("collections of 1970 in the log", scriptLimit, func([]message) bool { return len(m.seen("frame")) >= frames+3 })
	before := len(m.seen("stored"))
	m.run(fmt.Sprintf("date --set=@%d", time.Now().Unix()))
	m.do("Receiver", "up")
	m.awaitStored(8)
	old, right := 0, 0
	for _, one := range m.seen("stored")[before:] {
		if ahead, _ := now.ahead(one); ahead < -time.Hour {
			old++
		} else {
			right++
		}
	}
	if now.report(t, "after the clock was set right", m.seen("stored")[before:], 0) > 0 || right < 3 {
		t.Errorf("%d collections with the right time", right)
	}
	t.Logf("%d of them still with times of 1970, %d with the right one", old, right)
	if lost := missing1970(m.seen("frame")[frames:], m.seen("stored")[before:]); lost > 0 {
		t.Errorf("%d collections of the step are missing", lost)
	}
	m.off()
}

// missing1970 counts: the step makes the frames' times useless.
func missing1970(frames, stored []message) int {
	// The newest two may be on their way.
	return max(0, len(frames)-2-len(stored))
}

// Somebody sets the clock forward an hour, and back.
func TestClockForward(t *testing.T) {
	t.Parallel()
	m := boot(t, hardware{disk: disk(t, installed(t))})
	m.awaitFrame()
	m.do("Receiver", "up")
	m.awaitStored(3)
	now := hostTruth(m)
	began := len(m.seen("stored"))
	m.run("date --set='+1 hour'")
	m.awaitStored(6)
	m.do("Receiver", "down")
	wrong := now.report(t, "set forward an hour, link up", m.seen("stored")[began:], 0)
	frames := len(m.seen("frame"))
	m.await("collections of the wrong hour in the log", scriptLimit, func([]message) bool { return len(m.seen("frame")) >= frames+5 })
	m.run("date --set='-1 hour'")
	began = len(m.seen("stored"))
	m.do("Receiver", "up")
	m.await("the log is sent", scriptLimit, func([]message) bool { return len(m.seen("stored"))-began >= len(m.seen("frame"))-frames })
	if n := now.report(t, "link down while the clock was wrong, sent after it was set back", m.seen("stored")[began:], 0); n > 0 {
		t.Errorf("%d collections left from the future", n)
	}
	t.Logf("while the clock was wrong and the link up, %d collections left with the time of that clock", wrong)
	m.off()
}
