package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

// netdev shows what network devices sent and received. In the agent's own
// network namespace it asks the kernel by rtnetlink, which has one counter
// more and needs no text. When Paths.Procfs belongs to another namespace (the
// host's, seen from a container), it reads the file net/dev of that one's
// process 1.
// https://docs.kernel.org/networking/statistics.html
type netdev struct {
	reader
	files   [2]file // what to read without rtnetlink; the second if there is no first
	own     bool    // Procfs shows the agent's own network namespace
	link    rtnetlink
	devices roster[bool] // whether it is shown
	shows   filter
	address bool
}

// netCounters are the numbers of a device, in the order of netColumns. n is
// how many the source has: net/dev has all but receive_nohandler.
type netCounters struct {
	values [len(netColumns)]uint64
	n      int
}

// netColumns are in the order of /proc/net/dev.
var netColumns = [...]*metric.Desc{
	netCounter("receive_bytes", "bytes", "Bytes received."),
	netCounter("receive_packets", "", "Packets received."),
	netCounter("receive_errs", "", "Packets received with any error."),
	netCounter("receive_drop", "", "Packets received and dropped, for want of room in the device or in the kernel."),
	netCounter("receive_fifo", "", "Overruns of the device's receive queue."),
	netCounter("receive_frame", "", "Packets received with a wrong length, checksum or alignment."),
	netCounter("receive_compressed", "", "Compressed packets received."),
	netCounter("receive_multicast", "", "Multicast packets received."),
	netCounter("transmit_bytes", "bytes", "Bytes sent."),
	netCounter("transmit_packets", "", "Packets sent."),
	netCounter("transmit_errs", "", "Packets that could not be sent for any error."),
	netCounter("transmit_drop", "", "Packets dropped instead of sent."),
	netCounter("transmit_fifo", "", "Underruns of the device's send queue."),
	netCounter("transmit_colls", "", "Collisions while sending."),
	netCounter("transmit_carrier", "", "Packets not sent because the carrier was lost or sending was aborted."),
	netCounter("transmit_compressed", "", "Compressed packets sent."),
	netCounter("receive_nohandler", "", "Packets received on an inactive device and dropped; only in the agent's own network namespace."),
}

const netDevColumns = len(netColumns) - 1 // those in /proc/net/dev

func netCounter(name, unit, help string) *metric.Desc {
	return &metric.Desc{Name: "node_network_" + name + "_total", Type: metric.Counter, Unit: unit, Labels: deviceLabel, Help: help}
}

var netAddress = &metric.Desc{
	Name: "node_network_address_info", Type: metric.Gauge, Labels: []string{"device", "address", "netmask", "scope"},
	Help: "Always 1; the labels are an address of the device, the length of its prefix and its scope.",
}

func newNetdev(h *host, o Options) (Collector, error) {
	shows, err := newFilter("collectors.netdev.device", o.Netdev.DeviceInclude, o.Netdev.DeviceExclude, "")
	if err != nil {
		return nil, err
	}
	return &netdev{
		reader:  h.reader(),
		files:   [2]file{fileAt(h.Procfs, "1/net/dev"), fileAt(h.Procfs, "net/dev")},
		own:     h.Procfs == "/proc" || sameNetwork(filepath.Join(h.Procfs, "1/net/dev")),
		devices: roster[bool]{make: shows.shows},
		shows:   shows,
		address: o.Netdev.AddressInfo,
	}, nil
}

// sameNetwork reports whether path is the net/dev file of the agent's own
// network namespace. Each namespace has a file of its own, whose inode number
// is the same in every mounted procfs; unlike ns/net, anyone may look at it.
func sameNetwork(path string) bool {
	var theirs, ours unix.Stat_t
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC &&
		unix.Stat(path, &theirs) == nil && unix.Stat("/proc/self/net/dev", &ours) == nil &&
		theirs.Ino == ours.Ino
}

func (c *netdev) Name() string { return "netdev" }

func (c *netdev) Descs() []*metric.Desc { return append(netColumns[:], netAddress) }

func (c *netdev) Collect(_ context.Context, _ time.Time, dst *metric.Buffer) error {
	c.devices.begin()
	err := c.collectCounters(dst)
	if err == nil {
		c.devices.end()
	}
	return errors.Join(err, c.collectAddresses(dst))
}

// collectCounters falls back to the file where rtnetlink is forbidden
// (SELinux, systemd's RestrictAddressFamilies).
func (c *netdev) collectCounters(dst *metric.Buffer) error {
	if c.own {
		err := c.link.links(func(name []byte, counters *netCounters) { c.add(name, counters, dst) })
		if err != errForbidden {
			return err
		}
		return required(c.files[1], c.collectFile(c.files[1], dst))
	}
	err := c.collectFile(c.files[0], dst)
	if err == errAbsent {
		err = c.collectFile(c.files[1], dst)
	}
	return required(c.files[1], err)
}

// add reports whether the device is new in this round.
func (c *netdev) add(name []byte, counters *netCounters, dst *metric.Buffer) bool {
	m, again := c.devices.meet(name)
	if again {
		return false
	}
	if !m.kept {
		return true
	}
	for i, v := range counters.values[:counters.n] {
		dst.Add(netColumns[i], float64(v), m.name)
	}
	return true
}

func (c *netdev) collectFile(f file, dst *metric.Buffer) error {
	text, err := c.read(f)
	if err != nil {
		return err
	}
	l := lines{file: f, rest: text}
	for l.next() {
		if l.n <= 2 { // the heading
			continue
		}
		name, counters, ok := parseNetdevLine(l.text)
		switch {
		case !ok:
			l.reject("a device, a colon and 16 numbers")
		case !c.add(name, &counters, dst):
			l.reject("every device once")
		}
	}
	return l.end()
}

// parseNetdevLine splits "  eth0: 118609341 6679 0 0 ...". The name may hold
// a colon (an alias), the numbers may follow the last one without a space.
func parseNetdevLine(text []byte) (name []byte, c netCounters, ok bool) {
	colon := bytes.LastIndexByte(text, ':')
	if colon < 0 {
		return nil, c, false
	}
	name, rest := cutField(text[:colon])
	if extra, _ := cutField(rest); len(name) == 0 || len(extra) > 0 {
		return nil, c, false
	}
	rest = text[colon+1:]
	for c.n < netDevColumns {
		v, left, ok := cutUint(rest)
		if !ok {
			return nil, c, false
		}
		c.values[c.n], rest = v, left
		c.n++
	}
	extra, _ := cutField(rest)
	return name, c, len(extra) == 0
}

func (c *netdev) collectAddresses(dst *metric.Buffer) error {
	if !c.address {
		return nil
	}
	if !c.own {
		return fmt.Errorf("addresses can be read only in the agent's own network namespace, but %s belongs to another", filepath.Dir(c.files[0].String()))
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list network interfaces: %w", err)
	}
	var problems []error
	for _, device := range interfaces {
		if !c.shows.shows(device.Name) {
			continue
		}
		problems = append(problems, addAddresses(device, dst))
	}
	return errors.Join(problems...)
}

func addAddresses(device net.Interface, dst *metric.Buffer) error {
	addresses, err := device.Addrs()
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENODEV) { // it may have gone by now
		return fmt.Errorf("list addresses of %s: %w", device.Name, err)
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok {
			ones, _ := network.Mask.Size()
			dst.Add(netAddress, 1, label(device.Name), network.IP.String(), strconv.Itoa(ones), scope(network.IP))
		}
	}
	return nil
}

func scope(ip net.IP) string {
	switch {
	case ip.IsLoopback(), ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast():
		return "link-local"
	case ip.IsInterfaceLocalMulticast():
		return "interface-local"
	case ip.IsGlobalUnicast():
		return "global"
	}
	return ""
}
