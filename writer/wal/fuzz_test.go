package wal

import (
	"bytes"
	"slices"
	"syscall"
	"testing"
)

// Whatever a segment holds, reading it ends without a panic, yields rising
// numbers and intact frames only, and the log goes on after it. The segment is
// one in memory: a reader treats it as one on disk, and no disk slows this down.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	sample(f, dir)
	data := readAll(f, segmentFiles(f, dir)[0])
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Add([]byte{})
	f.Add(append(make([]byte, headerSize), data[headerSize:]...))
	f.Add(slices.Concat(data[:100], data[130:]))
	f.Add(slices.Concat(data[:100], make([]byte, 64), data[100:]))
	f.Add(slices.Concat(data[:60], data[40:]))
	o := options()
	f.Fuzz(func(t *testing.T, b []byte) {
		readHeader(b, 1)
		end := uint64(len(b))/frameHeader + 2
		l, err := open("nowhere", o, nowhereFS{})
		if err != nil {
			t.Fatal(err)
		}
		l.next = end
		l.segments = []*segment{{first: 1, end: end, size: int64(len(b)), inMem: true, mem: b}}
		before, _ := read(l, 0)
		mustRoll(t, l, []byte("head"))
		seq := mustAppend(t, l, Data, []byte("x"))
		got, damage := read(l, 0)
		checkFuzzed(t, b, before)
		if len(got) != len(before)+3 || got[len(got)-1].seq != seq || !slices.IsSorted(seqs(got)) {
			t.Errorf("frames %v, then with three more %v", seqs(before), seqs(got))
		}
		if damage.Bytes < 0 || damage.Bytes > int64(len(b)) || damage.Frames > uint64(len(b))/frameHeader {
			t.Errorf("damage %+v of %d bytes", damage, len(b))
		}
	})
}

// nowhereFS has no directory.
type nowhereFS struct{ osFS }

func (nowhereFS) MkdirAll(string) error { return syscall.EROFS }

// checkFuzzed finds each frame's bytes in the file, in order.
func checkFuzzed(t *testing.T, b []byte, frames []frame) {
	for _, f := range frames {
		raw := appendFrame(nil, f.kind, f.seq, []byte(f.payload))
		i := bytes.Index(b, raw)
		if i < 0 {
			t.Fatalf("frame %d is not in the file", f.seq)
		}
		b = b[i+len(raw):]
	}
}

// A cursor file of any bytes is refused or means what it says.
func FuzzCursor(f *testing.F) {
	f.Add([]byte{})
	slots := append(encodeSlot(slot{8, "c", State{Acked: []Range{{0, 5}, {7, 9}}, InFlight: Range{9, 12}, Clean: true}}),
		encodeSlot(slot{9, "c", State{Protocol: "p"}})...)
	f.Add(slots)
	f.Add(slots[:slotSize])
	f.Add(slots[slotSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeCursor(b)
		if err != nil {
			return
		}
		if !s.state.valid() {
			t.Fatalf("decoded a state that makes no sense: %+v", s)
		}
		back, err := decodeCursor(encodeSlot(s))
		if err != nil || back.name != s.name || !equalState(back.state, s.state) || back.generation != s.generation {
			t.Errorf("%+v becomes %+v, %v", s, back, err)
		}
	})
}
