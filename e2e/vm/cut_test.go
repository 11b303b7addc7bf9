//go:build vm

package vm

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	cuts         = 10
	syncInterval = 2 * time.Second // of config
	syncTime     = time.Second     // that a sync may take, which begins after syncInterval
)

// bare leaves out what takes long to start and the agent does not need.
const bare = "systemd.mask=systemd-udev-trigger.service systemd.mask=systemd-logind.service systemd.mask=modprobe@drm.service " +
	"systemd.mask=modprobe@configfs.service systemd.mask=modprobe@dm_mod.service systemd.mask=modprobe@efi_pstore.service " +
	"systemd.mask=modprobe@fuse.service systemd.mask=modprobe@loop.service"

// life is what the host knew of an agent when the power went.
type life struct {
	frames []message // collections that the agent had acknowledged
	stored []message // those that had arrived already
	cut    time.Time
}

// due returns the frames that were acknowledged so long before the cut.
func (l life) due(age time.Duration) []message {
	return slices.DeleteFunc(slices.Clone(l.frames), func(f message) bool { return l.cut.Sub(f.at) < age })
}

// Ten power cuts at random moments while the receiver is down. Nothing that
// was in the log for sync_interval is lost, however many cuts follow, and the
// agent always starts. The receiver is there twice: after the fifth cut, and
// after the last.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("NODEPUSH_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("NODEPUSH_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	file := disk(t, installed(t))
	var pending []life // not delivered yet
	judged := 0
	for i := range cuts + 1 {
		m := boot(t, hardware{disk: file, kernel: bare})
		frames := m.awaitFrame()
		t.Logf("boot %d: the agent's first collection %s after power on", i+1, frames[0].at.Sub(m.booted).Round(100*time.Millisecond))
		after := time.Second + time.Duration(random.Int64N(int64(7*time.Second)))
		if i == cuts/2 || i == cuts {
			judged += deliver(t, m, pending)
			pending = nil
			after += time.Since(frames[0].at)
		}
		if i == cuts {
			m.off()
			break
		}
		time.Sleep(time.Until(frames[0].at.Add(after)))
		l := life{cut: time.Now()}
		m.cut()
		l.frames, l.stored = m.seen("frame"), m.seen("stored")
		pending = append(pending, l)
		t.Logf("cut %d: %s after the first of %d collections, %d of them for more than %s", i+1, after.Round(time.Millisecond), len(l.frames), len(l.due(syncInterval)), syncInterval)
	}
	if judged < cuts {
		t.Errorf("only %d collections were old enough: the test proves nothing", judged)
	}
}

// awaitFrame waits until the agent has written a collection.
func (m *machine) awaitFrame() []message {
	m.t.Helper()
	m.await("the agent starts and collects", bootLimit, func([]message) bool { return len(m.seen("frame")) > 0 })
	return m.seen("frame")
}

// deliver opens the receiver until it has a collection of this boot, which
// comes after all older ones, looks for those of the lives before, and returns
// how many of them had to be there.
func deliver(t *testing.T, m *machine, lives []life) (due int) {
	t.Helper()
	m.do("Receiver", "up")
	m.await("the log is sent", scriptLimit, func([]message) bool {
		stored := m.seen("stored")
		return len(stored) > 0 && stored[len(stored)-1].Time > m.up.Wall
	})
	tally := m.do("Tally", true)
	m.do("Receiver", "down")
	var all, kept, late int
	for i, l := range lives {
		stored := slices.Concat(l.stored, m.seen("stored"))
		for _, f := range missing(l.due(syncInterval+syncTime), stored) {
			t.Errorf("life %d: collection %d, %s before the cut, is lost", i+1, f.Seq, l.cut.Sub(f.at))
		}
		all, due = all+len(l.frames), due+len(l.due(syncInterval+syncTime))
		kept += len(l.frames) - len(missing(l.frames, stored))
		late += len(missing(l.due(syncInterval), stored))
	}
	least, most := 1<<30, 0
	for _, n := range tally.Tally {
		least, most = min(least, n), max(most, n)
	}
	t.Logf("%d power cuts: %d collections acknowledged, %d of them %s before the cut; %d arrived. Lost while they were synced: %d. Samples in a collection: %d to %d. Requests refused: %d",
		len(lives), all, due, syncInterval+syncTime, kept, late, least, most, tally.Refused)
	if least < 200 || most > 2*least {
		t.Errorf("collections have %d to %d samples: parts are missing", least, most)
	}
	if tally.Refused > 0 {
		t.Errorf("%d requests refused: %s", tally.Refused, tally.Refusal)
	}
	return due
}
