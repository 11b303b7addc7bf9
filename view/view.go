// Package view shows what a receiver has stored: on a terminal as a screen
// that is drawn anew, elsewhere as lines. It is what `nodepush demo` prints.
//
//	receiver ─┬▶ observer ─▶ snapshot ─▶ draw ─▶ terminal
//	          ├▶ a line each time ─────────────▶ anything else
//	          └▶ Summary, at the end ──────────▶ both
//
// Nothing of it is read from the host, but for the size of the log's
// directory: that is there to show what is not delivered yet.
package view

import (
	"io"
	"os"

	"nodepush/receiver"
)

// Options say what is shown. All are needed.
type Options struct {
	Receiver   *receiver.Receiver
	Address    string   // where the receiver listens
	Dir        string   // of the agent's log
	Collectors int      // how many run
	Messages   *HeldLog // where the agent's messages go
}

// View is a way to show what a receiver has stored. It is used by one
// goroutine; ReadKeys has another.
type View struct {
	out     io.Writer
	options Options
	live    *live // nil where out is no terminal
	plain   *plain
}

// Open takes the terminal that out is and draws the first frame, or prints the
// head of the lines where it is none. An error leaves nothing to close.
func Open(out io.Writer, o Options) (*View, error) {
	v := &View{out: out, options: o}
	var err error
	if screen := openTerminal(out); screen != nil {
		v.live, err = newLive(screen, o)
	} else {
		v.plain, err = newPlain(out, o)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Show shows what is stored now. It is meant for each second.
func (v *View) Show() error {
	if v.live != nil {
		return v.live.show()
	}
	return v.plain.show()
}

// Events has the terminal's signals, which are for Handle, and SIGINT for each
// q that ReadKeys reads. There are none without a terminal.
func (v *View) Events() <-chan os.Signal {
	if v.live != nil {
		return v.live.events
	}
	return nil
}

// Handle obeys an event: it draws for a window of another size, or stops the
// process for Ctrl-Z. Lines care for neither.
func (v *View) Handle(s os.Signal) error {
	if v.live != nil {
		return v.live.handle(s)
	}
	return nil
}

// ReadKeys reads what is typed until the view is closed. It returns at once
// where nobody can type.
func (v *View) ReadKeys() {
	if v.live != nil {
		v.live.readKeys()
	}
}

// Close leaves the terminal as it was and lets messages pass again, those
// first that were held meanwhile.
func (v *View) Close() {
	if v.live != nil {
		v.live.close()
	}
}
