package agent

import (
	"context"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// liveView shows on a terminal what a receiver has stored.
//
//	receiver ─▶ observer ─▶ snapshot ─▶ draw ─▶ terminal
//
// It is used by one goroutine, and another reads keys.
type liveView struct {
	screen   *terminal
	observer *observer
	log      *heldLog
	colour   bool // https://no-color.org

	last          snapshot
	width, height int // of the newest frame
	events        chan<- os.Signal
	tty           *os.File // where keys come from; nil without
	keys          group
}

// newLiveView takes the screen and draws the first frame. Signals of the
// terminal go to events, and q as SIGINT.
func newLiveView(screen *terminal, o *observer, log *heldLog, events chan<- os.Signal) (*liveView, error) {
	v := &liveView{screen: screen, observer: o, log: log, colour: os.Getenv("NO_COLOR") == "", events: events}
	if terminalFile(log.to) != nil {
		log.hold()
	}
	signal.Notify(events, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	if err := v.show(); err != nil {
		return v, err
	}
	// A file of its own, for closing it ends a read. Without a controlling
	// terminal there are no keys, which Ctrl-C and --for make up for.
	if tty, err := os.Open("/dev/tty"); err == nil {
		v.tty = tty
		v.keys.Go("keys", func() { readKeys(tty, func() { v.tell(unix.SIGINT) }) })
	}
	return v, nil
}

// tell sends an event, unless so many wait that it makes no difference.
func (v *liveView) tell(s os.Signal) {
	select {
	case v.events <- s:
	default:
	}
}

// show draws what is stored now.
func (v *liveView) show() error {
	v.last = v.observer.snapshot(time.Now())
	v.last.message = v.log.newest()
	return v.redraw()
}

// redraw draws the last snapshot in the window as it is now.
func (v *liveView) redraw() error {
	if err := v.screen.enter(); err != nil {
		return err
	}
	width, height := v.screen.size()
	clear := ""
	if width != v.width || height != v.height { // the terminal has moved what was there
		clear = "\x1b[2J"
	}
	v.width, v.height = width, height
	_, err := io.WriteString(v.screen.file, clear+frameText(draw(v.last, width, height), width, v.colour))
	return err
}

// handle obeys what the terminal tells. After a stop the screen is taken again
// with the next frame, so that it does not matter when exactly SIGSTOP works.
func (v *liveView) handle(s os.Signal) error {
	if s != unix.SIGTSTP {
		return v.redraw()
	}
	if mayStop() {
		v.screen.leave()
		return unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
	return nil
}

// close gives the screen back and writes the messages that came meanwhile.
func (v *liveView) close() {
	signal.Reset(unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	v.screen.leave()
	v.log.release()
	if v.tty != nil {
		v.tty.Close()
	}
	v.keys.join(context.Background())
}
