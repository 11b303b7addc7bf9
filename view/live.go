package view

import (
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// live is a view on a terminal.
type live struct {
	screen   *terminal
	observer *observer
	messages *HeldLog
	colour   bool // https://no-color.org

	last          snapshot
	width, height int // of the newest frame
	events        chan os.Signal
	tty           *os.File // where keys come from; nil without
}

// newLive takes the screen and draws the first frame.
func newLive(screen *terminal, o Options) (*live, error) {
	v := &live{
		screen: screen, observer: newObserver(o), messages: o.Messages, colour: os.Getenv("NO_COLOR") == "",
		events: make(chan os.Signal, 8),
	}
	if terminalFile(o.Messages.to) != nil {
		o.Messages.hold()
	}
	signal.Notify(v.events, unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	if err := v.show(); err != nil {
		v.close()
		return nil, err
	}
	// A file of its own, for closing it ends a read. Without a controlling
	// terminal there are no keys, which Ctrl-C and --for make up for.
	if tty, err := os.Open("/dev/tty"); err == nil {
		v.tty = tty
	}
	return v, nil
}

// readKeys tells of each q until the view is closed.
func (v *live) readKeys() {
	if v.tty == nil {
		return
	}
	readKeys(v.tty, func() {
		select {
		case v.events <- unix.SIGINT:
		default: // so many events wait that it makes no difference
		}
	})
}

// show draws what is stored now.
func (v *live) show() error {
	v.last = v.observer.snapshot(time.Now())
	v.last.message = v.messages.newest()
	return v.redraw()
}

// redraw draws the last snapshot in the window as it is now.
func (v *live) redraw() error {
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
func (v *live) handle(s os.Signal) error {
	if s != unix.SIGTSTP {
		return v.redraw()
	}
	if mayStop() {
		// The shell may have the terminal already, if it was not this process but
		// its parent (make) that it waited for. SIGTTOU would stop us in between.
		signal.Ignore(unix.SIGTTOU)
		v.screen.leave()
		signal.Reset(unix.SIGTTOU)
		return unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
	return nil
}

// close gives the screen back and writes the messages that came meanwhile.
func (v *live) close() {
	signal.Reset(unix.SIGWINCH, unix.SIGTSTP, unix.SIGCONT)
	v.screen.leave()
	v.messages.release()
	if v.tty != nil {
		v.tty.Close()
	}
}
