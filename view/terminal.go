package view

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Control sequences of xterm, which terminals of today know and those that do
// not ignore: 1049 is the alternate screen, 25 the cursor, 7 wrapping at the
// right edge. Where there is no alternate screen, clearing leaves no ruins.
//
// https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
	leaveScreen = "\x1b[0m\x1b[2J\x1b[H\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// terminal is a terminal that can be drawn on. It is used by one goroutine.
type terminal struct {
	file  *os.File
	saved *unix.Termios // its settings while it is ours, else nil
}

// openTerminal returns the terminal that out is. It is nil when out is none,
// one that cannot move its cursor, or one that is another job's now.
func openTerminal(out any) *terminal {
	file := terminalFile(out)
	if term := os.Getenv("TERM"); file == nil || term == "" || term == "dumb" {
		return nil
	}
	// An error means that it is no controlling terminal, and has no jobs.
	job, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPGRP)
	if err == nil && job != unix.Getpgrp() {
		return nil
	}
	return &terminal{file: file}
}

// terminalFile returns out when it is a terminal, else nil.
func terminalFile(out any) *os.File {
	file, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return file
}

// enter takes the screen. Typed characters are not shown and come one by one;
// Ctrl-C and Ctrl-Z go on to make signals.
func (t *terminal) enter() error {
	if t.saved != nil {
		return nil
	}
	saved, err := unix.IoctlGetTermios(int(t.file.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	ours := *saved
	ours.Lflag &^= unix.ECHO | unix.ICANON
	ours.Cc[unix.VMIN], ours.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &ours); err != nil {
		return err
	}
	t.saved = saved
	_, err = io.WriteString(t.file, enterScreen)
	return err
}

// leave gives the screen back as it was. What was typed meanwhile is for
// nobody (TCSETSF), least of all for the shell.
func (t *terminal) leave() {
	if t.saved == nil {
		return
	}
	io.WriteString(t.file, leaveScreen) // a terminal that is gone needs nothing
	unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETSF, t.saved)
	t.saved = nil
}

// size is the window's, 80x24 when the terminal does not know it.
func (t *terminal) size() (width, height int) {
	w, err := unix.IoctlGetWinsize(int(t.file.Fd()), unix.TIOCGWINSZ)
	if err != nil || w.Col == 0 || w.Row == 0 {
		return 80, 24
	}
	return int(w.Col), int(w.Row)
}

// mayStop says that somebody can continue this process after it stopped: a
// shell has given it a job of its own. Without one, as first program of an xterm
// or a container, it is in the group that the session began with.
func mayStop() bool {
	session, err := unix.Getsid(0)
	return err == nil && session != unix.Getpgrp()
}

// readKeys calls quit at the first q, and returns when the terminal is closed.
func readKeys(tty io.Reader, quit func()) {
	for keys := bufio.NewReader(tty); ; {
		key, err := keys.ReadByte()
		if err != nil {
			return
		}
		if key == 'q' || key == 'Q' {
			quit()
		}
	}
}
