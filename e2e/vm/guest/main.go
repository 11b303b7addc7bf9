//go:build vm

// Guest is the test's hand inside the VM. It reads requests, a JSON object a
// line, from a virtio-serial port and answers there; what it sees by itself it
// says there too, at once, so that the host knows it when the power goes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// request is one of: a script to run, the receiver to open or close, series to
// select, a tally to make.
type request struct {
	ID       int
	Run      string // a shell script, run as a unit of systemd
	Name     string // of the unit
	Seconds  int    // that it may take
	Receiver string // up or down
	Select   string // metric
	Tally    bool
}

// message is an answer (ID is the request's) or an event (ID is 0).
type message struct {
	ID         int
	Event      string             `json:",omitempty"` // up: the guest is here; frame: the log has a new collection; stored: the receiver has one
	Wall, Boot int64              // ms: of the guest's clock since the epoch, and since its boot
	Status     int                `json:",omitempty"` // of the script
	Output     string             `json:",omitempty"`
	Seq        uint64             `json:",omitempty"` // of the frame
	Time       int64              `json:",omitempty"` // of the collection
	Series     map[string]float64 `json:",omitempty"` // newest values
	Tally      map[int64]int      `json:",omitempty"` // samples by time, without staleness markers
	Refused    uint64             `json:",omitempty"` // requests that the receiver refused, and why the last one
	Refusal    string             `json:",omitempty"`
}

// line is the way to the host.
type line struct {
	mu   sync.Mutex
	port *os.File
}

func (l *line) say(m message) {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	m.Wall, m.Boot = time.Now().UnixMilli(), ts.Nano()/1e6
	text, err := json.Marshal(m)
	if err != nil {
		text, _ = json.Marshal(message{ID: m.ID, Status: -1, Output: err.Error()})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.port.Write(append(text, '\n'))
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// serve obeys until the port closes. The one port there is bears the name that
// the kernel gives it.
func serve() error {
	ports, _ := filepath.Glob("/dev/vport*p*")
	if len(ports) != 1 {
		return fmt.Errorf("want one virtio-serial port, found %v", ports)
	}
	port, err := os.OpenFile(ports[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l := &line{port: port}
	far := newFarEnd(l)
	go watch(segments(wal), l)
	l.say(message{Event: "up"})
	requests := bufio.NewScanner(port)
	requests.Buffer(nil, 1<<20)
	for requests.Scan() {
		var r request
		if err := json.Unmarshal(requests.Bytes(), &r); err != nil {
			return fmt.Errorf("request %q: %w", requests.Text(), err)
		}
		go obey(l, far, r)
	}
	return requests.Err()
}

func obey(l *line, far *farEnd, r request) {
	m := message{}
	switch {
	case r.Run != "":
		m = run(r)
	case r.Receiver != "":
		if err := far.set(r.Receiver == "up"); err != nil {
			m = message{Status: -1, Output: err.Error()}
		}
	case r.Select != "":
		m = far.newest(r.Select)
	case r.Tally:
		m = far.tally()
	}
	m.ID = r.ID
	l.say(m)
}

// run runs the script as a unit, so that what it leaves behind ends with it.
func run(r request) message {
	file := fmt.Sprintf("/run/vm-%d.sh", r.ID)
	if err := os.WriteFile(file, []byte(r.Run), 0o600); err != nil {
		return message{Status: -1, Output: err.Error()}
	}
	defer os.Remove(file)
	limit := time.Duration(r.Seconds) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit+10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=oneshot",
		"--unit=vm-"+r.Name+"-"+strconv.Itoa(r.ID), "--property=TimeoutStartSec="+strconv.Itoa(r.Seconds), "/bin/sh", "-eu", file)
	out, err := c.CombinedOutput()
	m := message{Output: string(out)}
	if m.Status = c.ProcessState.ExitCode(); m.Status < 0 {
		m.Output += err.Error()
	}
	return m
}
