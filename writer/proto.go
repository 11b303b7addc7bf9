package writer

import "encoding/binary"

// field is one field of a protobuf message. content is that of wire type 2,
// nil for the others.
type field struct {
	number         uint64
	whole, content []byte
}

// nextField takes the first field off a message; ok is false if that is not one.
// https://protobuf.dev/programming-guides/encoding/#structure
func nextField(msg []byte) (f field, rest []byte, ok bool) {
	tag, n := binary.Uvarint(msg)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return field{}, nil, false
	}
	head, size, ok := fieldSize(msg[n:], tag&7)
	if !ok {
		return field{}, nil, false
	}
	end := n + head + size
	f = field{number: tag >> 3, whole: msg[:end]}
	if tag&7 == 2 {
		f.content = msg[n+head : end]
	}
	return f, msg[end:], true
}

// fieldSize returns the lengths of what is behind a field's tag: the length
// itself, where there is one, and the content.
func fieldSize(b []byte, wireType uint64) (head, size int, ok bool) {
	switch wireType {
	case 0:
		_, n := binary.Uvarint(b)
		return 0, n, n > 0
	case 1:
		return 0, 8, len(b) >= 8
	case 2:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return 0, 0, false
		}
		return n, int(size), true
	case 5:
		return 0, 4, len(b) >= 4
	}
	return 0, 0, false // groups are of proto2, 6 and 7 are nothing
}

// fieldAfter returns the offset of the first field of a protobuf message with
// a number above the given one, which is the end of the message if there is
// none; ok says that the message consists of whole fields.
func fieldAfter(msg []byte, number uint64) (at int, ok bool) {
	at = -1
	for rest := msg; len(rest) > 0; {
		f, after, ok := nextField(rest)
		if !ok {
			return 0, false
		}
		if at < 0 && f.number > number {
			at = len(msg) - len(rest)
		}
		rest = after
	}
	if at < 0 {
		at = len(msg)
	}
	return at, true
}

// label1 returns name and value of a prometheus.Label; what it lacks is empty.
func label1(msg []byte) (name, value string) {
	for len(msg) > 0 {
		f, rest, ok := nextField(msg)
		if !ok {
			break
		}
		switch f.number {
		case 1:
			name = string(f.content)
		case 2:
			value = string(f.content)
		}
		msg = rest
	}
	return name, value
}
