package collector

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// rtnetlink asks the kernel for the counters of every network device.
//
//	┌ nlmsghdr 16 B ─────────────┬ ifinfomsg 16 B ┬ attribute ─────────────┬ ...
//	│ length type flags seq port │                │ length u16 type u16 .. │
//	└────────────────────────────┴────────────────┴────────────────────────┴ ...   all in host byte order, aligned to 4
//
// https://man7.org/linux/man-pages/man7/rtnetlink.7.html
type rtnetlink struct {
	buf    []byte
	kernel unix.SockaddrNetlink
}

var (
	errForbidden   = errors.New("netlink sockets are forbidden here")
	errTruncated   = errors.New("netlink answer is cut off")
	errInterrupted = errors.New("network devices changed while they were listed")
	errDone        = errors.New("netlink answer is complete") // ends a dump
)

const (
	linkAnswer   = 64 << 10 // the kernel sends at most 32 KiB at once
	linkPatience = 5        // seconds: the kernel answers at once, or waits for a device driver
	linkTries    = 3
)

// links gives the counters of every device. The name stays valid until give
// returns. When devices come or go meanwhile, the answer may lack one, and is
// asked for again: give must expect devices it has had.
func (r *rtnetlink) links(give func(name []byte, c *netCounters)) error {
	var err error
	for range linkTries {
		if err = r.dump(give); err != errInterrupted {
			break
		}
	}
	return err
}

// dump opens a socket for one answer: a collector has no end at which it could
// close one.
func (r *rtnetlink) dump(give func(name []byte, c *netCounters)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	switch err {
	case nil:
	case unix.EACCES, unix.EPERM, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT:
		return errForbidden
	default:
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer unix.Close(fd)
	if err := r.ask(fd); err != nil {
		return fmt.Errorf("ask for network devices: %w", err)
	}
	return r.receive(fd, give)
}

func (r *rtnetlink) ask(fd int) error {
	patience := unix.Timeval{Sec: linkPatience}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return err
	}
	if err := unix.Connect(fd, &r.kernel); err != nil { // and take answers from the kernel only
		return err
	}
	var request [unix.SizeofNlMsghdr + unix.SizeofIfInfomsg]byte
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.RTM_GETLINK)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	_, err := unix.Write(fd, request[:])
	return err
}

func (r *rtnetlink) receive(fd int, give func(name []byte, c *netCounters)) error {
	if r.buf == nil {
		r.buf = make([]byte, linkAnswer)
	}
	interrupted := false
	for {
		n, err := unix.Read(fd, r.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("list network devices: %w", err)
		}
		if n == len(r.buf) {
			return errTruncated
		}
		broken, err := parseLinks(r.buf[:n], give)
		interrupted = interrupted || broken
		switch {
		case err == errDone && interrupted:
			return errInterrupted
		case err == errDone:
			return nil
		case err != nil:
			return fmt.Errorf("list network devices: %w", err)
		}
	}
}

// parseLinks walks through the messages of one datagram. It returns errDone
// after the last one of a dump; interrupted says that the kernel marked the
// dump as torn.
func parseLinks(data []byte, give func(name []byte, c *netCounters)) (interrupted bool, err error) {
	order := binary.NativeEndian
	for len(data) > 0 {
		if len(data) < unix.SizeofNlMsghdr {
			return interrupted, errTruncated
		}
		length, kind, flags := order.Uint32(data), order.Uint16(data[4:]), order.Uint16(data[6:])
		if length < unix.SizeofNlMsghdr || uint64(length) > uint64(len(data)) {
			return interrupted, errTruncated
		}
		interrupted = interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		body := data[unix.SizeofNlMsghdr:length]
		switch kind {
		case unix.NLMSG_DONE:
			return interrupted, errDone
		case unix.NLMSG_ERROR:
			return interrupted, netlinkError(body)
		case unix.RTM_NEWLINK:
			if err := parseLink(body, give); err != nil {
				return interrupted, err
			}
		}
		data = data[min(align4(int(length)), len(data)):]
	}
	return interrupted, nil
}

func align4(n int) int { return (n + 3) &^ 3 }

func netlinkError(body []byte) error {
	if len(body) < 4 {
		return errTruncated
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
		return unix.Errno(-code)
	}
	return errors.New("netlink acknowledges instead of answering")
}

// parseLink gives one device, unless it has no name or no counters.
func parseLink(body []byte, give func(name []byte, c *netCounters)) error {
	if len(body) < unix.SizeofIfInfomsg {
		return errTruncated
	}
	var name []byte
	var stats linkStats
	for rest := body[unix.SizeofIfInfomsg:]; len(rest) >= unix.SizeofRtAttr; {
		length, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if length < unix.SizeofRtAttr || length > len(rest) {
			return errTruncated
		}
		value := rest[unix.SizeofRtAttr:length]
		switch kind {
		case unix.IFLA_IFNAME:
			name = value[:max(len(value)-1, 0)] // without its NUL
		case unix.IFLA_STATS64:
			stats.fill64(value)
		case unix.IFLA_STATS:
			stats.fill32(value)
		}
		rest = rest[min(align4(length), len(rest)):]
	}
	if c, ok := stats.counters(); ok && len(name) > 0 {
		give(name, &c)
	}
	return nil
}

// linkStats is struct rtnl_link_stats64 of linux/if_link.h up to
// rx_nohandler, the last field, which came with Linux 4.6.
type linkStats struct {
	v     [24]uint64
	known int // fields filled in; 0: none
	wide  bool
}

func (s *linkStats) fill64(value []byte) {
	s.known, s.wide = min(len(value)/8, len(s.v)), true
	for i := range s.known {
		s.v[i] = binary.NativeEndian.Uint64(value[8*i:])
	}
}

// fill32 takes struct rtnl_link_stats, which kernels before 2.6.35 have alone.
func (s *linkStats) fill32(value []byte) {
	if s.wide {
		return
	}
	s.known = min(len(value)/4, len(s.v))
	for i := range s.known {
		s.v[i] = uint64(binary.NativeEndian.Uint32(value[4*i:]))
	}
}

// counters adds up the fields as the kernel does for /proc/net/dev
// (dev_seq_printf_stats in net/core/net-procfs.c).
func (s *linkStats) counters() (c netCounters, ok bool) {
	v := &s.v
	c.values = [...]uint64{
		v[2], v[0], v[4], // bytes, packets, errors
		v[6] + v[15],                  // dropped, missed
		v[14],                         // fifo
		v[13] + v[10] + v[11] + v[12], // frame, length, over, CRC
		v[21], v[8],                   // compressed, multicast
		v[3], v[1], v[5], v[7], // bytes, packets, errors, dropped
		v[18], v[9], // fifo, collisions
		v[17] + v[16] + v[19] + v[20], // carrier, aborted, heartbeat, window
		v[22],                         // compressed
		v[23],                         // no handler
	}
	c.n = len(c.values)
	if s.known < len(s.v) {
		c.n = netDevColumns
	}
	return c, s.known >= len(s.v)-1
}
