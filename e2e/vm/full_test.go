//go:build vm

package vm

import (
	"fmt"
	"testing"
)

// A small disk that holds nothing but the log fills up: collection and delivery
// go on, and when there is room again the log is back on the disk with all of it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	m := boot(t, hardware{disk: disk(t, installed(t)), more: []string{smallDisk(t, 8)}})
	m.run("systemctl stop nodepush; mount /dev/vdc /var/lib/nodepush; chown nodepush: /var/lib/nodepush; systemctl start nodepush")
	m.do("Receiver", "up")
	m.awaitStored(3)
	onDisk := func(want float64) {
		t.Helper()
		m.await(fmt.Sprintf("nodepush_wal_on_disk is %v", want), scriptLimit, func([]message) bool {
			for _, v := range m.do("Select", "nodepush_wal_on_disk").Series {
				return v == want
			}
			return false
		})
	}
	onDisk(1)
	m.run("dd if=/dev/zero of=/var/lib/nodepush/ballast bs=4k 2>/dev/null || true; dd if=/dev/zero of=/var/lib/nodepush/ballast2 bs=64 2>/dev/null || true; df /var/lib/nodepush; test $(df --output=avail /var/lib/nodepush | tail -n 1) -eq 0")
	m.run("systemctl kill --signal=HUP nodepush")
	onDisk(0)
	m.test("delivery goes on", func(t *testing.T) { m.awaitStored(5) })

	m.test("nothing is lost", func(t *testing.T) {
		m.do("Receiver", "down")
		frames := len(m.seen("frame"))
		m.run("sleep 8") // collections in memory only
		if n := len(m.seen("frame")); n > frames+2 {
			t.Errorf("a full disk took %d collections", n-frames)
		}
		m.run("rm /var/lib/nodepush/ballast*")
		m.await("the log is back on the disk", scriptLimit, func([]message) bool { return len(m.seen("frame")) >= frames+8 })
		m.do("Receiver", "up")
		onDisk(1)
		checkSteady(t, m)
	})
	m.off()
}

// checkSteady wants a collection each second, but for the rounds that the agent says it
// has skipped.
func checkSteady(t *testing.T, m *machine) {
	stored := m.seen("stored")
	rounds, skipped := 0.0, 0.0
	for _, v := range m.do("Select", "nodepush_rounds_total").Series {
		rounds = v
	}
	for _, v := range m.do("Select", "nodepush_rounds_skipped_total").Series {
		skipped = v
	}
	times := make(map[int64]bool)
	for _, one := range stored {
		times[one.Time] = true
	}
	t.Logf("%v rounds, %v skipped; %d collections arrived", rounds, skipped, len(times))
	if float64(len(times)) < rounds {
		t.Errorf("%d collections arrived of %v rounds", len(times), rounds)
	}
}
