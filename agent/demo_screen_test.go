package agent

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a terminal with a program on it: a pseudo-terminal and as much of
// xterm as the view uses.
type screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	done   chan struct{} // closed when the slave has no user any more

	mu                      sync.Mutex
	raw                     strings.Builder
	rest                    string // of a sequence that was cut
	alternate, hidden, wrap bool
	rows                    [2][][]rune // normal and alternate
	x, y                    int
	taken                   int    // how often the alternate screen was entered
	problem                 string // the first thing a terminal would have stumbled over
}

// openScreen makes a terminal of a size.
func openScreen(t *testing.T, width, height int) *screen {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal("open /dev/ptmx: ", err)
	}
	s := &screen{t: t, master: os.NewFile(uintptr(fd), "ptmx"), done: make(chan struct{}), wrap: true}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal("unlock the pseudo-terminal: ", err)
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal("open the other end of the pseudo-terminal: ", errno)
	}
	s.slave = os.NewFile(peer, "pts")
	s.resize(width, height)
	t.Cleanup(func() {
		s.slave.Close()
		s.master.Close()
	})
	return s
}

// resize changes the window; the kernel tells the program.
func (s *screen) resize(width, height int) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)}); err != nil {
		s.t.Fatal(err)
	}
}

// start starts a program with the screen as its controlling terminal.
func (s *screen) start(c *exec.Cmd, env ...string) {
	s.t.Helper()
	c.Stdin, c.Stdout, c.Stderr = s.slave, s.slave, s.slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	c.Env = append(append(c.Environ(), "TMPDIR="+s.t.TempDir(), "TERM=xterm", "NO_COLOR="), env...)
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		buf := make([]byte, 1<<16)
		for {
			n, err := s.master.Read(buf)
			s.feed(string(buf[:n]))
			if err != nil {
				return
			}
		}
	}()
}

// echo says whether what is typed is shown.
func (s *screen) echo() bool {
	s.t.Helper()
	termios, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return termios.Lflag&unix.ECHO != 0 && termios.Lflag&unix.ICANON != 0
}

var sequence = regexp.MustCompile(`^\x1b\[(\??)([0-9;]*)([A-Za-z])`)

// feed shows what the program wrote.
func (s *screen) feed(data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.WriteString(data)
	data, s.rest = s.rest+data, ""
	for data != "" {
		m := sequence.FindStringSubmatch(data)
		switch r := []rune(data[:min(4, len(data))])[0]; {
		case m != nil:
			s.control(m[1]+m[2]+m[3], m[0])
			data = data[len(m[0]):]
		case r == '\x1b' && len(data) < 12, r == '\ufffd' && len(data) < 4:
			s.rest = data
			return
		default:
			s.put(r)
			data = data[len(string(r)):]
		}
	}
}

// control obeys a control sequence.
func (s *screen) control(c, text string) {
	switch c {
	case "?1049h", "?1049l":
		if s.alternate = c[5] == 'h'; s.alternate {
			s.taken++
		}
	case "?25h", "?25l":
		s.hidden = c[3] == 'l'
	case "?7h", "?7l":
		s.wrap = c[2] == 'h'
	case "H":
		s.x, s.y = 0, 0
	case "K":
		s.row()
		rows := s.rows[s.now()]
		rows[s.y] = rows[s.y][:min(s.x, len(rows[s.y]))]
	case "2J":
		s.rows[s.now()] = nil
	default:
		if !strings.HasSuffix(c, "m") && s.problem == "" {
			s.problem = fmt.Sprintf("sequence %q", text)
		}
	}
}

func (s *screen) now() int {
	if s.alternate {
		return 1
	}
	return 0
}

// row makes the row of the cursor.
func (s *screen) row() {
	for len(s.rows[s.now()]) <= s.y {
		s.rows[s.now()] = append(s.rows[s.now()], nil)
	}
}

// put shows a character. Its width is not cared for.
func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.x = 0
	case r == '\n':
		s.y++
	case r < ' ':
		if s.problem == "" {
			s.problem = fmt.Sprintf("character %q", r)
		}
	default:
		s.row()
		row := s.rows[s.now()][s.y]
		for len(row) <= s.x {
			row = append(row, ' ')
		}
		row[s.x] = r
		s.rows[s.now()][s.y] = row
		s.x++
	}
}

// text is what can be seen.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, row := range s.rows[s.now()] {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return b.String()
}

// lent says whether a program has the screen for itself.
func (s *screen) lent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alternate || s.hidden || !s.wrap
}

// size is the space that is used.
func (s *screen) size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.rows[s.now()] {
		width = max(width, len(row))
	}
	return width, len(s.rows[s.now()])
}

// shows waits until something can be seen.
func (s *screen) shows(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(20 * time.Second); !re.MatchString(s.text()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s on\n%s", pattern, s.text())
		}
	}
}
