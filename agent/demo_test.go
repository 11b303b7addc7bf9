package agent

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// frame is a frame with figures that arrived.
const frame = `(?s)nodepush demo .*delivery +newest \d+\.\ds old +[1-9][\d.]* samples/s.*receiver +[1-9]\d* requests, 0 refused.*cpu +\[.*\] +\d+\.\d%.*mem +\[.*iB.*disk .*network .*filesystem`

var demoSummary = regexp.MustCompile(`(?m)^(\d+) rounds: (\d+) samples collected, (\d+) stored by the receiver in \d+ requests, 0 requests refused`)

// restored checks that the terminal is as it was and shows the summary.
func (s *screen) restored() {
	s.t.Helper()
	if !s.echo() {
		s.t.Error("what is typed is not shown")
	}
	s.slave.Close()
	<-s.done
	text := s.text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alternate || s.hidden || !s.wrap || s.problem != "" {
		s.t.Errorf("alternate screen %t, cursor hidden %t, wrapping %t, problem: %s", s.alternate, s.hidden, s.wrap, s.problem)
	}
	if m := demoSummary.FindStringSubmatch(text); m == nil || m[2] != m[3] || m[2] == "0" {
		s.t.Errorf("summary %q on\n%s", m, text)
	}
	if strings.Contains(text, "delivery") {
		s.t.Errorf("a frame was left on\n%s", text)
	}
}

func TestDemoOnATerminal(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		env  string
		end  func(*screen, *os.Process)
	}{
		{"q", nil, "", func(s *screen, _ *os.Process) { s.master.WriteString("xq") }},
		{"Ctrl-C", nil, "NO_COLOR=1", func(s *screen, _ *os.Process) { s.master.WriteString("\x03") }},
		{"SIGTERM", nil, "", func(_ *screen, p *os.Process) { p.Signal(syscall.SIGTERM) }},
		{"for 4 s", []string{"--for=4s"}, "", func(*screen, *os.Process) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, p := openScreen(t, 90, 24), nodepush(t, append([]string{"demo"}, c.args...)...)
			s.start(p, c.env)
			s.shows(frame)
			if s.echo() || !s.lent() {
				t.Errorf("typing is shown: %t, screen lent: %t", s.echo(), s.lent())
			}
			c.end(s, p.Process)
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
			s.restored()
			if colours, want := strings.Contains(s.raw.String(), "\x1b[36m"), c.env == ""; colours != want {
				t.Errorf("colours: %t, want %t", colours, want)
			}
		})
	}
}

// Frames follow the window, and Ctrl-Z changes nothing without a shell: the
// program could not be continued.
func TestDemoFollowsTheWindow(t *testing.T) {
	t.Parallel()
	s, p := openScreen(t, 90, 24), nodepush(t, "demo")
	s.start(p)
	s.shows(frame)
	for _, size := range [][2]int{{40, 10}, {120, 30}, {1, 1}, {80, 24}} {
		s.resize(size[0], size[1])
		until(t, "a frame of "+fmt.Sprint(size), func() bool {
			width, height := s.size()
			return width == size[0] && height == size[1]
		})
	}
	s.master.WriteString("\x1a")
	s.shows(frame)
	before := requestsShown(s)
	until(t, "another frame", func() bool { return requestsShown(s) > before })
	p.Process.Signal(syscall.SIGINT)
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	s.restored()
}

func requestsShown(s *screen) int {
	m := regexp.MustCompile(`(\d+) requests,`).FindStringSubmatch(s.text())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// In a shell Ctrl-Z gives the screen back and fg takes it again, also below
// another program, as make is.
func TestDemoStopsAndContinues(t *testing.T) {
	t.Run("by itself", func(t *testing.T) { stopAndContinue(t, `"$@" demo`) })
	t.Run("below another program", func(t *testing.T) { stopAndContinue(t, `/bin/sh -c '"$@" demo; exit $?' below "$@"`) })
}

func stopAndContinue(t *testing.T, command string) {
	t.Parallel()
	s := openScreen(t, 90, 24)
	arguments := []string{"-mc", command + `; echo stopped with $?; read answer; fg`, "sh"}
	c := exec.CommandContext(t.Context(), "/bin/sh", append(arguments, nodepush(t).Args...)...)
	s.start(c, beMain+"=1")
	s.shows(frame)
	s.master.WriteString("\x1a")
	until(t, "all processes of the job to stop", func() bool { return jobStopped(c.Process.Pid) })
	until(t, "the screen to be given back", func() bool { return !s.lent() && s.echo() })
	s.master.WriteString("\n")
	s.shows(frame)
	s.master.WriteString("q")
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	s.restored()
	if s.taken != 2 {
		t.Errorf("the screen was taken %d times", s.taken)
	}
}

// jobStopped reports whether everything in a session but its leader is stopped
// (proc_pid_stat(5)).
func jobStopped(session int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	stopped := false
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if f[3] == strconv.Itoa(session) && f[2] != f[3] {
			if f[0] != "T" {
				return false
			}
			stopped = true
		}
	}
	return stopped
}

// A second Ctrl-C ends the process at once, whatever it waits for, and leaves
// the terminal as it was: the first has seen to that.
func TestDemoSecondSignal(t *testing.T) {
	t.Parallel()
	s, p := openScreen(t, 90, 24), nodepush(t, "demo")
	s.start(p)
	s.shows(frame)
	for range 5 { // the end may come too soon for the second
		p.Process.Signal(syscall.SIGINT)
	}
	err := p.Wait()
	echo := s.echo()
	s.slave.Close()
	<-s.done
	if s.lent() || !echo {
		t.Errorf("%v: screen lent: %t, typing shown: %t", err, s.lent(), echo)
	}
}

// A terminal that cannot move its cursor gets lines, without a sequence.
func TestDemoOnADumbTerminal(t *testing.T) {
	for _, term := range []string{"", "dumb"} {
		t.Run("TERM="+term, func(t *testing.T) {
			t.Parallel()
			s, p := openScreen(t, 140, 24), nodepush(t, "demo", "--for=2500ms")
			s.start(p, "TERM="+term)
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
			s.restoredLines()
		})
	}
}

func (s *screen) restoredLines() {
	s.t.Helper()
	s.slave.Close()
	<-s.done
	if text := s.text(); strings.Contains(s.raw.String(), "\x1b") || !strings.Contains(text, "wire B/sample") || !demoSummary.MatchString(text) {
		s.t.Errorf("it wrote %q", s.raw.String())
	}
}

// Messages do not tear the screen; they come after it.
func TestDemoHoldsMessagesBack(t *testing.T) {
	t.Parallel()
	s := openScreen(t, 90, 40)
	p := nodepush(t, "--path.procfs="+t.TempDir(), "demo")
	s.start(p)
	message := regexp.MustCompile(`(?m)^message +(time=.*)$`)
	s.shows(message.String())
	shown := message.FindStringSubmatch(s.text())[1]
	s.master.WriteString("q")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	s.slave.Close()
	<-s.done
	if text := s.text(); !strings.Contains("\n"+text, "\n"+shown) {
		t.Errorf("%q is not on the screen:\n%s", shown, text)
	}
}
