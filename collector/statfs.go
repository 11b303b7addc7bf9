package collector

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// asker asks mounts for their statfs(2) such that a call that never returns
// costs only its mount. Nothing can cancel such a call: it holds a thread
// until the server or the FUSE process answers, or for ever.
//
//	ask ──hire──▶ work: next ─▶ statfs ─▶ answer ─▶ next ─▶ ...      one goroutine, one mount after the other
//	 │  slowCall
//	 ├──hire──▶ work: next ─▶ ...                                    the first one hangs: another takes over
//	 │  patience
//	 └──end: who has not answered has timed out                      its call may go on; the mount is not asked again meanwhile
//
// At most maxHanging calls are under way at any time, those left over from
// earlier rounds included.
type asker struct {
	statfs  func(path string, st *unix.Statfs_t) error
	timeout time.Duration

	mu      sync.Mutex
	hanging int // calls under way
}

const (
	maxHanging = 16
	slowCall   = 25 * time.Millisecond
)

// mount is one mounted file system. What stands below mu belongs to the asker
// while ask runs, and to whoever called ask otherwise; busy is always the asker's.
type mount struct {
	mountInfo
	path   string // of statfs
	remote bool
	round  uint64 // in which it was last listed

	// guarded by asker.mu
	busy     bool // a call is under way
	may      int  // calls that may be under way, this one included, when it is asked
	answered bool // in the last round
	stat     unix.Statfs_t
	err      error // of statfs
}

// limit is m.may for the next round. Of the 16 threads that may hang, the last
// is kept for what the kernel answers itself, the last but one for mounts that
// answered last time: a dead server with many mounts hides neither the disks
// nor, for long, other servers.
func (m *mount) limit() int {
	switch {
	case !m.remote:
		return maxHanging
	case m.answered:
		return maxHanging - 1
	}
	return maxHanging - 2
}

// asking is one round of an asker; its fields are guarded by asker.mu.
type asking struct {
	queue []*mount
	open  int // asked and not answered
	over  bool
	done  chan struct{} // closed when nothing is left to wait for
	shut  bool          // done is closed
}

// ask asks every mount and returns when all have answered or the time is up:
// after the timeout, or before ctx's deadline if that is earlier. Afterwards
// answered, stat and err of each mount say what came of it.
func (a *asker) ask(ctx context.Context, mounts []*mount) error {
	patience, err := a.patience(ctx)
	if err != nil || len(mounts) == 0 {
		return err
	}
	r := a.begin(mounts)
	defer a.end(r)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	slow := time.NewTicker(slowCall)
	defer slow.Stop()
	for {
		if a.wanted(r) {
			go a.work(r) // ends with its last answer; not joined: that may be never
		}
		select {
		case <-r.done:
			return nil
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-slow.C:
		}
	}
}

// patience leaves a tenth of the time to ctx's deadline, so that the samples
// of the mounts that answered are not late.
func (a *asker) patience(ctx context.Context) (time.Duration, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return a.timeout, ctx.Err()
	}
	return min(a.timeout, time.Until(deadline)*9/10), ctx.Err()
}

// begin queues the mounts that have no call under way: first those that
// surely answer, then those that did last time.
func (a *asker) begin(mounts []*mount) *asking {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range mounts {
		m.may, m.answered = m.limit(), false
	}
	r := &asking{done: make(chan struct{}), queue: make([]*mount, 0, len(mounts))}
	for may := maxHanging; may >= maxHanging-2; may-- {
		for _, m := range mounts {
			if m.may == may && !m.busy {
				r.queue = append(r.queue, m)
			}
		}
	}
	return r
}

// end closes the round: a call that returns later frees its mount, no more.
func (a *asker) end(r *asking) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.over = true
}

// wanted reports whether one more worker would have something to do.
func (a *asker) wanted(r *asking) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.settleLocked(a.hanging)
	return r.mayAskLocked(a.hanging)
}

func (r *asking) mayAskLocked(hanging int) bool {
	return !r.over && len(r.queue) > 0 && hanging < r.queue[0].may
}

// settleLocked closes done when no answer can come any more.
func (r *asking) settleLocked(hanging int) {
	if r.open == 0 && !r.shut && !r.mayAskLocked(hanging) {
		r.shut = true
		close(r.done)
	}
}

func (a *asker) work(r *asking) {
	var st unix.Statfs_t
	for m := a.next(r); m != nil; m = a.next(r) {
		err := a.statfs(m.path, &st)
		a.answer(r, m, &st, err)
	}
}

// next takes the next mount to ask, nil if there is none or no more calls may hang.
func (a *asker) next(r *asking) *mount {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !r.mayAskLocked(a.hanging) {
		r.settleLocked(a.hanging)
		return nil
	}
	m := r.queue[0]
	r.queue = r.queue[1:]
	r.open++
	a.hanging++
	m.busy = true
	return m
}

func (a *asker) answer(r *asking, m *mount, st *unix.Statfs_t, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.open--
	a.hanging--
	m.busy = false
	if !r.over {
		m.answered, m.stat, m.err = true, *st, err
	}
}

// busy reports whether a call for m is under way.
func (a *asker) busy(m *mount) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return m.busy
}
