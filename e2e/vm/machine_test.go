//go:build vm

package vm

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Limits are for a busy machine; a run on idle ones is far from them.
const (
	bootLimit   = 3 * time.Minute
	scriptLimit = 2 * time.Minute
	stopLimit   = time.Minute
)

// hardware is what a machine is booted with.
type hardware struct {
	disk   string   // a qcow2 file, which it changes
	more   []string // further disks, raw: vdc and on
	kernel string   // more of its command line
	clock  string   // of the board, UTC, as qemu's -rtc base= takes it; "": the right time
}

// machine is a running VM.
type machine struct {
	t       *testing.T
	cmd     *exec.Cmd
	console string
	booted  time.Time
	up      message
	done    chan struct{} // closed when qemu has ended
	over    bool          // it went off as the test wanted

	send    sync.Mutex
	conn    net.Conn
	mu      sync.Mutex
	last    int
	answers map[int]chan message
	events  []message
	changed chan struct{} // closed and made anew with each event
}

// message is what the guest says; see guest/main.go.
type message struct {
	ID         int
	Event      string
	Wall, Boot int64
	Status     int
	Output     string
	Seq        uint64
	Time       int64
	Series     map[string]float64
	Tally      map[int64]int
	Refused    uint64
	Refusal    string
	at         time.Time // when the host got it
}

// boot starts a machine and waits until its guest program answers. The console
// is shown if the test fails before the machine went off as it should.
func boot(t *testing.T, h hardware) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "vm") // not TempDir: the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	line, err := net.Listen("unix", filepath.Join(dir, "line"))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	m := &machine{t: t, console: filepath.Join(dir, "console"), booted: time.Now(), done: make(chan struct{}),
		answers: make(map[int]chan message), changed: make(chan struct{})}
	m.cmd = exec.Command("qemu-system-x86_64", h.arguments(line.Addr().String(), m.console)...)
	var complaints strings.Builder
	m.cmd.Stdout, m.cmd.Stderr = &complaints, &complaints
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("start qemu: %v", err)
	}
	go func() { m.cmd.Wait(); close(m.done) }()
	t.Cleanup(func() {
		m.kill()
		if t.Failed() && !m.over {
			text, _ := os.ReadFile(m.console)
			t.Logf("%s\nthe console ends so:\n%s", complaints.String(), text[max(0, len(text)-6000):])
		}
	})
	line.(*net.UnixListener).SetDeadline(time.Now().Add(bootLimit))
	if m.conn, err = line.Accept(); err != nil {
		t.Fatalf("qemu does not open the line to the guest: %v\n%s", err, complaints.String())
	}
	go m.listen()
	m.up = m.await("the guest is up", bootLimit, func(events []message) bool { return len(events) > 0 })[0]
	return m
}

// arguments of qemu. There is no network and no KVM: what a CI machine calls
// /dev/kvm may hang.
func (h hardware) arguments(line, console string) []string {
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-nic", "none", "-display", "none", "-no-reboot", "-serial", "file:" + console,
		"-kernel", filepath.Join(base, "vmlinuz"), "-initrd", filepath.Join(base, "initrd"),
		"-append", "root=/dev/vda rw apparmor=0 console=ttyS0 selinux=0 loglevel=5 systemd.log_color=0 systemd.show_status=auto " + h.kernel,
		"-device", "virtio-serial", "-chardev", "socket,id=line,path=" + line, "-device", "virtserialport,chardev=line",
		// When qemu is killed, what the guest has written is in the host's page
		// cache, flushed or not; a flush is only slow.
		"-drive", "if=virtio,cache=unsafe,format=qcow2,file=" + h.disk,
		"-drive", "if=virtio,cache=unsafe,format=raw,readonly=on,file=" + bring,
	}
	for _, disk := range h.more {
		args = append(args, "-drive", "if=virtio,cache=unsafe,format=raw,file="+disk)
	}
	if h.clock != "" {
		args = append(args, "-rtc", "base="+h.clock)
	}
	return args
}

// listen takes what the guest says until the line closes.
func (m *machine) listen() {
	lines := bufio.NewScanner(m.conn)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var one message
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			continue // cut in the middle of a line
		}
		one.at = time.Now()
		m.mu.Lock()
		if one.ID != 0 {
			m.answers[one.ID] <- one
			delete(m.answers, one.ID)
		} else {
			m.events = append(m.events, one)
			close(m.changed)
			m.changed = make(chan struct{})
		}
		m.mu.Unlock()
	}
}

// seen returns the events so far, oldest first.
func (m *machine) seen(event string) []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.events), func(one message) bool { return one.Event != event })
}

// await waits until what happened so far is enough.
func (m *machine) await(what string, limit time.Duration, enough func([]message) bool) []message {
	m.t.Helper()
	over := time.After(limit)
	for {
		m.mu.Lock()
		events, changed := slices.Clone(m.events), m.changed
		m.mu.Unlock()
		if enough(events) {
			return events
		}
		select {
		case <-changed:
		case <-over:
			m.t.Fatalf("%s: not within %s", what, limit)
		case <-m.done:
			m.t.Fatalf("%s: the machine is off", what)
		}
	}
}

// ask sends a request and returns the answer.
func (m *machine) ask(limit time.Duration, r map[string]any) message {
	m.t.Helper()
	answer := make(chan message, 1)
	m.mu.Lock()
	m.last++
	id := m.last
	m.answers[id] = answer
	m.mu.Unlock()
	r["ID"] = id
	text, err := json.Marshal(r)
	if err != nil {
		m.t.Fatal(err)
	}
	m.send.Lock()
	m.conn.SetWriteDeadline(time.Now().Add(limit))
	_, err = m.conn.Write(append(text, '\n'))
	m.send.Unlock()
	if err != nil {
		m.t.Fatalf("ask the guest %s: %v", text, err)
	}
	select {
	case a := <-answer:
		return a
	case <-m.done:
		m.t.Fatalf("the machine went off over %s", text)
	case <-time.After(limit):
		m.kill()
		m.t.Fatalf("the guest hangs: no answer within %s to %s", limit, text)
	}
	panic("vm: unreachable")
}

// try runs a shell script as root, in a unit of its own.
func (m *machine) try(script string) (output string, status int) {
	m.t.Helper()
	a := m.ask(scriptLimit+20*time.Second, map[string]any{"Run": script, "Name": "script", "Seconds": int(scriptLimit.Seconds())})
	return strings.TrimSpace(a.Output), a.Status
}

// run is try for what has to succeed.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, status := m.try(script)
	if status != 0 {
		journal, _ := m.try("journalctl --no-pager --lines=30")
		m.t.Fatalf("script:\n%s\nstatus %d:\n%s\njournal:\n%s", script, status, out, journal)
	}
	return out
}

// want compares what a script prints, whatever its status.
func (m *machine) want(want, script string) {
	m.t.Helper()
	if got, _ := m.try(script); got != want {
		m.t.Errorf("%s says %q, want %q", script, got, want)
	}
}

// eventually repeats a script in the guest until it succeeds.
func (m *machine) eventually(script string) string {
	m.t.Helper()
	return m.run("until " + script + "; do sleep 0.3; done")
}

// do asks for one of the guest program's own deeds.
func (m *machine) do(request string, value any) message {
	m.t.Helper()
	a := m.ask(scriptLimit, map[string]any{request: value})
	if a.Status != 0 {
		m.t.Fatalf("%s %v: %s", request, value, a.Output)
	}
	return a
}

// cut is a power cut: what the guest has not given to its disk is lost.
func (m *machine) cut() {
	m.kill()
	m.over = true
}

func (m *machine) kill() {
	m.cmd.Process.Kill()
	<-m.done
}

// off shuts the machine down in order.
func (m *machine) off() {
	m.t.Helper()
	m.run("systemctl --no-block poweroff")
	select {
	case <-m.done:
		m.over = true
	case <-time.After(stopLimit):
		m.t.Fatalf("the machine is still on %s after poweroff", stopLimit)
	}
}

// test makes a subtest of what f does with the machine.
func (m *machine) test(name string, f func(t *testing.T)) {
	outer := m.t
	outer.Run(name, func(t *testing.T) {
		m.t = t
		defer func() { m.t = outer }()
		f(t)
	})
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }
