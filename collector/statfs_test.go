package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// disks answers statfs(2) at once, but not for paths below /hang: those wait
// until they are released.
type disks struct {
	mu    sync.Mutex
	asked map[string]int // calls so far
	busy  int            // calls under way
	most  int
	free  chan struct{} // closed: nothing hangs
}

func newDisks() *disks { return &disks{asked: make(map[string]int), free: make(chan struct{})} }

func (d *disks) statfs(path string, st *unix.Statfs_t) error {
	d.mu.Lock()
	d.asked[path]++
	d.busy++
	d.most = max(d.most, d.busy)
	free := d.free
	d.mu.Unlock()
	if strings.HasPrefix(path, "/hang") {
		<-free
	}
	d.mu.Lock()
	d.busy--
	d.mu.Unlock()
	*st = unix.Statfs_t{Bsize: 1, Blocks: 7}
	return nil
}

// calls returns how often path was asked.
func (d *disks) calls(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[path]
}

// peak returns how many calls were under way at most.
func (d *disks) peak() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

// left returns how many calls a has under way.
func (a *asker) left() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hanging
}

func mountOf(path, fstype string) *mount {
	return &mount{mountInfo: mountInfo{mountID: mountID{"dev", path, fstype}}, path: path, remote: remote(fstype)}
}

// outcome says of each mount whether it answered.
func outcome(mounts []*mount) string {
	var answers []string
	for _, m := range mounts {
		if m.answered {
			answers = append(answers, m.path)
		}
	}
	return strings.Join(answers, " ")
}

// A mount that hangs costs its own samples, in the round in which it begins to
// hang and in all that follow, and is asked once.
func TestAskHangingMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks()
		a := asker{statfs: d.statfs, timeout: 5 * time.Second}
		mounts := []*mount{mountOf("/hang/nfs", "nfs4"), mountOf("/", "ext4"), mountOf("/home", "ext4"), mountOf("/srv", "nfs4")}
		for round, want := range []time.Duration{5 * time.Second, 0, 0} {
			start := time.Now()
			if err := a.ask(t.Context(), mounts); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("round %d took %v, want %v", round, took, want)
			}
			if got := outcome(mounts); got != "/ /home /srv" {
				t.Errorf("round %d: answers of %q", round, got)
			}
		}
		if hung, root := d.calls("/hang/nfs"), d.calls("/"); hung != 1 || root != 3 {
			t.Errorf("asked the hanging mount %d times, / %d times", hung, root)
		}
		close(d.free)
		synctest.Wait()
		if mounts[0].answered {
			t.Error("an answer after the end of the round changed it")
		}
		if err := a.ask(t.Context(), mounts); err != nil || !mounts[0].answered || mounts[0].stat.Blocks != 7 {
			t.Errorf("released: %v, answered %v, %+v", err, mounts[0].answered, mounts[0].stat)
		}
		if a.left() != 0 || a.busy(mounts[0]) {
			t.Errorf("%d calls counted as hanging after all returned", a.left())
		}
	})
}

// The wait ends before the round's own deadline.
func TestAskKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks()
		defer close(d.free)
		a := asker{statfs: d.statfs, timeout: 5 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		mounts := []*mount{mountOf("/hang", "nfs4"), mountOf("/", "ext4")}
		if err := a.ask(ctx, mounts); err != nil || ctx.Err() != nil || outcome(mounts) != "/" {
			t.Errorf("after %v: %v, %v, answers of %q", time.Since(start), err, ctx.Err(), outcome(mounts))
		}
	})
}

// A round that is called off says nothing about mounts it did not wait for.
func TestAskCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks()
		defer close(d.free)
		a := asker{statfs: d.statfs, timeout: 5 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := a.ask(ctx, []*mount{mountOf("/hang", "nfs4")}); !errors.Is(err, context.Canceled) {
			t.Errorf("called off: %v", err)
		}
		if err := a.ask(ctx, []*mount{mountOf("/", "ext4")}); !errors.Is(err, context.Canceled) {
			t.Errorf("called off before: %v", err)
		}
		if d.calls("/") != 0 {
			t.Error("asked after it was called off")
		}
	})
}

// However many mounts hang, no more than 16 threads do, and neither the disks
// nor the servers that answered last time suffer.
func TestAskManyHangingMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks()
		a := asker{statfs: d.statfs, timeout: 5 * time.Second}
		healthy := []*mount{mountOf("/srv", "nfs4"), mountOf("/", "ext4"), mountOf("/home", "ext4")}
		if err := a.ask(t.Context(), healthy); err != nil {
			t.Fatal(err)
		}
		var mounts []*mount
		for i := range 40 {
			mounts = append(mounts, mountOf(fmt.Sprintf("/hang/%d", i), "nfs4"))
		}
		mounts = slices.Concat(mounts, healthy)
		for round := range 3 {
			start := time.Now()
			if err := a.ask(t.Context(), mounts); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 5*time.Second || round > 0 && took > 0 {
				t.Errorf("round %d took %v", round, took)
			}
			if got := outcome(mounts); got != "/srv / /home" {
				t.Errorf("round %d: answers of %q", round, got)
			}
		}
		if d.peak() > maxHanging || a.left() != maxHanging-2 {
			t.Errorf("%d calls at a time, %d left hanging", d.peak(), a.left())
		}
		close(d.free)
		synctest.Wait()
		if err := a.ask(t.Context(), mounts); err != nil || len(strings.Fields(outcome(mounts))) != 43 {
			t.Errorf("released: %v, answers of %q", err, outcome(mounts))
		}
	})
}

// Disks that hang take all 16 threads and no more.
func TestAskManyHangingDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks()
		defer close(d.free)
		a := asker{statfs: d.statfs, timeout: 5 * time.Second}
		var mounts []*mount
		for i := range 20 {
			mounts = append(mounts, mountOf(fmt.Sprintf("/hang/%d", i), "ext4"))
		}
		for _, want := range []time.Duration{5 * time.Second, 0} {
			start := time.Now()
			if err := a.ask(t.Context(), mounts); err != nil || outcome(mounts) != "" || time.Since(start) != want {
				t.Errorf("%v, answers of %q after %v, want none after %v", err, outcome(mounts), time.Since(start), want)
			}
		}
		if d.peak() != maxHanging || a.left() != maxHanging {
			t.Errorf("%d calls at a time, %d left hanging", d.peak(), a.left())
		}
	})
}

func TestAskNothing(t *testing.T) {
	a := asker{timeout: time.Second}
	if err := a.ask(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
