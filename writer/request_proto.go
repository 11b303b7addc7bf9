package writer

import "encoding/binary"

// fieldAfter returns the offset of the first field of a protobuf message with
// a number above the given one, which is the end of the message if there is
// none; ok says that the message consists of whole fields.
// https://protobuf.dev/programming-guides/encoding/#structure
func fieldAfter(msg []byte, number int) (at int, ok bool) {
	at = -1
	for off := 0; off < len(msg); {
		tag, n := binary.Uvarint(msg[off:])
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return 0, false
		}
		if at < 0 && tag>>3 > uint64(number) {
			at = off
		}
		size, ok := fieldSize(msg[off+n:], tag&7)
		if !ok {
			return 0, false
		}
		off += n + size
	}
	if at < 0 {
		at = len(msg)
	}
	return at, true
}

// fieldSize returns the length of a field's content, without its tag.
func fieldSize(b []byte, wireType uint64) (int, bool) {
	switch wireType {
	case 0:
		_, n := binary.Uvarint(b)
		return n, n > 0
	case 1:
		return 8, len(b) >= 8
	case 2:
		size, n := binary.Uvarint(b)
		return n + int(size), n > 0 && size <= uint64(len(b)-n)
	case 5:
		return 4, len(b) >= 4
	}
	return 0, false // groups are of proto2, 6 and 7 are nothing
}
