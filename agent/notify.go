package agent

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What the service manager is told, if there is one that listens:
// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
//
//	start, running ──▶ READY ──SIGHUP──▶ RELOADING ──running, or refused──▶ READY ──SIGTERM──▶ STOPPING
//
// There is no watchdog: what could be seen to hang is a call into a dying disk,
// and a restart would lose the collections that are kept in memory meanwhile.

// notifyReady says that collectors and senders run. The status is what
// `systemctl status` shows.
func (a *agent) notifyReady(c *Config) {
	a.notify("READY=1", fmt.Sprintf("STATUS=Collectors: %d, every %s; receivers: %d", len(c.Collectors), c.Interval, len(c.Writer.Receivers)))
}

// notifyReloading says that there is a READY to come. The time lets the
// manager tell the answer to this reload from that to another.
func (a *agent) notifyReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		a.log.Warn("read CLOCK_MONOTONIC", "err", err)
	}
	a.notify("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// notifyRefused ends a reload that changed nothing. Between two lives, it is
// the next one that is ready or not.
func (a *agent) notifyRefused() {
	if a.current.Load() != nil {
		a.notify("READY=1", "STATUS=The changed configuration is refused; the old one goes on")
	}
}

func (a *agent) notifyStopping() { a.notify("STOPPING=1") }

// notifyWait bounds a notification: a manager that reads nothing lets the
// socket fill up, and must not keep the agent from its signals.
const notifyWait = time.Second

// notify sends the lines in one datagram, for systemd takes RELOADING only
// together with its time. Without NOTIFY_SOCKET nothing is sent.
func (a *agent) notify(lines ...string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		conn.SetWriteDeadline(time.Now().Add(notifyWait)) // or Write reports why it cannot
		_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	}
	if err != nil {
		a.log.Warn("notify the service manager", "err", err)
	}
}
