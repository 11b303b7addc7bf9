package agent

import (
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
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
	a.notify(daemon.SdNotifyReady, fmt.Sprintf("STATUS=Collectors: %d, every %s; receivers: %d", len(c.Collectors), c.Interval, len(c.Writer.Receivers)))
}

// notifyReloading says that there is a READY to come. The time lets the
// manager tell the answer to this reload from that to another.
func (a *agent) notifyReloading() {
	a.notify(daemon.SdNotifyReloading, daemon.SdNotifyMonotonicUsec())
}

// notifyRefused ends a reload that changed nothing. Between two lives, it is
// the next one that is ready or not.
func (a *agent) notifyRefused() {
	if a.current.Load() != nil {
		a.notify(daemon.SdNotifyReady, "STATUS=The changed configuration is refused; the old one goes on")
	}
}

func (a *agent) notifyStopping() { a.notify(daemon.SdNotifyStopping) }

// notify sends the lines in one datagram, for systemd takes RELOADING only
// together with its time. Without NOTIFY_SOCKET nothing is sent.
func (a *agent) notify(lines ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		a.log.Warn("notify the service manager", "err", err)
	}
}
