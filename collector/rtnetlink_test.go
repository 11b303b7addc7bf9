package collector

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// rtnetlink and /proc/net/dev tell the same devices and, where nothing moves,
// the same numbers. A fresh network namespace has a loopback device that
// nobody else uses.
func TestRtnetlinkAgreesWithProc(t *testing.T) {
	inNewNetwork(t, func() { compareWithProc(t) })
}

func compareWithProc(t *testing.T) {
	text, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		t.Error(err)
		return
	}
	var r rtnetlink
	devices := 0
	err = r.links(func(name []byte, c *netCounters) {
		devices++
		if c.n != len(netColumns) {
			t.Errorf("%s: %d counters", name, c.n)
		}
		for line := range strings.Lines(string(text)) {
			n, want, ok := parseNetdevLine([]byte(strings.TrimSuffix(line, "\n")))
			if !ok || string(n) != string(name) {
				continue
			}
			if [16]uint64(want.values[:16]) != [16]uint64(c.values[:16]) {
				t.Errorf("%s: netlink %v, proc %v", name, c.values, want.values)
			}
		}
	})
	if lines := strings.Count(string(text), "\n") - 2; err != nil || devices != lines || devices == 0 {
		t.Errorf("%d devices by netlink, %d in proc, %v", devices, lines, err)
	}
}

// message is a netlink message of a kind with a body.
func message(kind, flags uint16, body []byte) []byte {
	m := make([]byte, unix.SizeofNlMsghdr, align4(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint32(m, uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags)
	m = append(m, body...)
	return m[:cap(m)]
}

func attribute(kind uint16, value []byte) []byte {
	a := make([]byte, unix.SizeofRtAttr, align4(unix.SizeofRtAttr+len(value)))
	binary.NativeEndian.PutUint16(a, uint16(unix.SizeofRtAttr+len(value)))
	binary.NativeEndian.PutUint16(a[2:], kind)
	a = append(a, value...)
	return a[:cap(a)]
}

// stats64 is the counters 1, 2, 3, ... of a struct of n fields.
func stats64(n int) (value []byte) {
	for i := range n {
		value = binary.NativeEndian.AppendUint64(value, uint64(i+1))
	}
	return value
}

func stats32(n int) (value []byte) {
	for i := range n {
		value = binary.NativeEndian.AppendUint32(value, uint32(i+1))
	}
	return value
}

func link(attributes ...[]byte) []byte {
	body := make([]byte, unix.SizeofIfInfomsg)
	for _, a := range attributes {
		body = append(body, a...)
	}
	return body
}

func TestParseLinks(t *testing.T) {
	name := attribute(unix.IFLA_IFNAME, []byte("eth0\x00"))
	// bytes packets errs drop+missed fifo frame.. compressed multicast | bytes packets errs drop fifo colls carrier.. compressed | nohandler
	full := [...]uint64{3, 1, 5, 7 + 16, 15, 14 + 11 + 12 + 13, 22, 9, 4, 2, 6, 8, 19, 10, 18 + 17 + 20 + 21, 23, 24}
	tests := []struct {
		name  string
		stats [][]byte
		n     int
	}{
		{"today", [][]byte{attribute(unix.IFLA_STATS64, stats64(25))}, 17},
		{"Linux 4.6", [][]byte{attribute(unix.IFLA_STATS64, stats64(24))}, 17},
		{"before nohandler", [][]byte{attribute(unix.IFLA_STATS64, stats64(23))}, 16},
		{"32 bits", [][]byte{attribute(unix.IFLA_STATS, stats32(24))}, 17},
		{"both", [][]byte{attribute(unix.IFLA_STATS64, stats64(24)), attribute(unix.IFLA_STATS, stats32(2))}, 17},
		{"both, 32 bits first", [][]byte{attribute(unix.IFLA_STATS, stats32(2)), attribute(unix.IFLA_STATS64, stats64(24))}, 17},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := 0
			data := message(unix.RTM_NEWLINK, 0, link(append([][]byte{name}, tt.stats...)...))
			_, err := parseLinks(data, func(name []byte, c *netCounters) {
				given++
				if string(name) != "eth0" || c.n != tt.n || [16]uint64(c.values[:16]) != [16]uint64(full[:16]) || c.n == 17 && c.values[16] != full[16] {
					t.Errorf("got %q, %+v, want %v", name, c, full)
				}
			})
			if err != nil || given != 1 {
				t.Errorf("%d devices, %v", given, err)
			}
		})
	}
}

func TestParseLinksErrors(t *testing.T) {
	errno := func(e unix.Errno) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e))) }
	good := message(unix.RTM_NEWLINK, 0, link(attribute(unix.IFLA_IFNAME, []byte("eth0\x00")), attribute(unix.IFLA_STATS64, stats64(24))))
	tests := []struct {
		name    string
		data    []byte
		err     error
		devices int
	}{
		{"done", append(good, message(unix.NLMSG_DONE, 0, make([]byte, 4))...), errDone, 1},
		{"refused", message(unix.NLMSG_ERROR, 0, errno(unix.EPERM)), unix.EPERM, 0},
		{"short error", message(unix.NLMSG_ERROR, 0, nil), errTruncated, 0},
		{"half a header", good[:10], errTruncated, 0},
		{"half a message", good[:len(good)-8], errTruncated, 0},
		{"no room for ifinfomsg", message(unix.RTM_NEWLINK, 0, []byte{1, 2}), errTruncated, 0},
		{"attribute too long", message(unix.RTM_NEWLINK, 0, link([]byte{200, 0, 3, 0})), errTruncated, 0},
		{"attribute too short", message(unix.RTM_NEWLINK, 0, link([]byte{3, 0, 3, 0})), errTruncated, 0},
		{"no counters", message(unix.RTM_NEWLINK, 0, link(attribute(unix.IFLA_IFNAME, []byte("eth0\x00")))), nil, 0},
		{"no name", message(unix.RTM_NEWLINK, 0, link(attribute(unix.IFLA_STATS64, stats64(24)))), nil, 0},
		{"few counters", message(unix.RTM_NEWLINK, 0, link(attribute(unix.IFLA_IFNAME, []byte("eth0\x00")), attribute(unix.IFLA_STATS64, stats64(22)))), nil, 0},
		{"other messages", message(unix.RTM_NEWADDR, 0, []byte{1}), nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			devices := 0
			_, err := parseLinks(tt.data, func([]byte, *netCounters) { devices++ })
			if !errors.Is(err, tt.err) || devices != tt.devices {
				t.Errorf("%d devices, %v, want %d, %v", devices, err, tt.devices, tt.err)
			}
		})
	}
}

func TestParseLinksInterrupted(t *testing.T) {
	torn, err := parseLinks(message(unix.RTM_NEWLINK, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, link()), func([]byte, *netCounters) {})
	if !torn || err != nil {
		t.Errorf("got %v, %v", torn, err)
	}
}

func FuzzParseLinks(f *testing.F) {
	f.Add(message(unix.RTM_NEWLINK, 0, link(attribute(unix.IFLA_IFNAME, []byte("eth0\x00")), attribute(unix.IFLA_STATS64, stats64(24)))))
	f.Add(message(unix.NLMSG_ERROR, 0, make([]byte, 4)))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseLinks(data, func(name []byte, c *netCounters) {
			if len(name) == 0 || c.n < netDevColumns || c.n > len(netColumns) {
				t.Errorf("device %q with %d counters", name, c.n)
			}
		})
	})
}
