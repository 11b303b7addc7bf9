package wal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// testdata/version1 is the log of sample and the cursor of recordedState,
// written on amd64. Every architecture and every later version reads it, and
// what this one writes has the same bytes.
const recorded = "testdata/version1"

const recordedReceiver = "central"

func recordedState() State {
	return State{Acked: []Range{{0, 9}, {12, 14}}, InFlight: Range{14, 1<<40 + 5}, Protocol: "2.0", BootID: [16]byte{1, 2, 3, 15: 255}, Clean: true}
}

func TestReadVersion1(t *testing.T) {
	want := sample(t, t.TempDir())
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(recorded)); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, options())
	c := mustCursor(t, l, recordedReceiver)
	if got, want := c.State(), recordedState(); !equalState(got, want) {
		t.Errorf("cursor says %+v, want %+v", got, want)
	}
	frames, damage := read(l, 0)
	if damage != (Damage{}) || len(frames) != len(want) {
		t.Fatalf("%d frames, damage %+v, want %d and none", len(frames), damage, len(want))
	}
	for i, f := range frames {
		if f != want[i] {
			t.Errorf("frame %d is %+v, want %+v", i, f, want[i])
		}
	}
	mustRoll(t, l, []byte("head"))
	if seq, want := mustAppend(t, l, Data, nil), uint64(1<<40+7); seq != want { // after two copies of the head
		t.Errorf("the next frame has number %d, want %d, for the cursor knows of lower ones", seq, want)
	}
}

func TestWriteVersion1(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir)
	names := segmentFiles(t, dir)
	if len(names) != 2 {
		t.Fatalf("segments %v, want 2", names)
	}
	for _, name := range names {
		got, want := readAll(t, name), readAll(t, filepath.Join(recorded, filepath.Base(name)))
		const created = 20 // where the time is, and then the header's checksum: each log's own
		if !bytes.Equal(got[:created], want[:created]) || !bytes.Equal(got[headerSize:], want[headerSize:]) {
			t.Errorf("%s is\n%x, want\n%x", filepath.Base(name), got, want)
		}
	}
}
