package collector

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

// uname shows what kernel runs here, and the host's name. Dashboards find
// their hosts by it.
// https://man7.org/linux/man-pages/man2/uname.2.html
type uname struct {
	call   func(*unix.Utsname) error
	answer unix.Utsname
}

var unameInfo = &metric.Desc{
	Name: "node_uname_info", Type: metric.Gauge,
	Help:   "Always 1; the labels are what uname(2) says of kernel and host.",
	Labels: []string{"sysname", "release", "version", "machine", "nodename", "domainname"},
}

func newUname(h *host, _ Options) (Collector, error) { return &uname{call: h.uname}, nil }

func (c *uname) Name() string { return "uname" }

func (c *uname) Descs() []*metric.Desc { return []*metric.Desc{unameInfo} }

func (c *uname) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	u := &c.answer
	if err := c.call(u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	text := func(field *[65]byte) string {
		value, _, _ := bytes.Cut(field[:], []byte{0})
		return label(dst.String(value))
	}
	dst.Add(unameInfo, 1, text(&u.Sysname), text(&u.Release), text(&u.Version), text(&u.Machine), text(&u.Nodename), text(&u.Domainname))
	return nil
}
