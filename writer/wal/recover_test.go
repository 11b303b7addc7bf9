package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copyDir copies the files of a log, so that a test may damage them.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// reopen reads everything that a start after an accident finds.
func reopen(t testing.TB, dir string) []frame {
	t.Helper()
	l, err := Open(dir, options())
	if err != nil {
		t.Fatal(err)
	}
	frames, _ := read(l, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return frames
}

// A crash may stop a write anywhere: at every length the whole frames remain
// and nothing else. Its twin flips every bit.
func TestCutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	all := sample(t, dir)
	last := segmentFiles(t, dir)[1]
	data := readAll(t, last)
	for n := range len(data) + 1 {
		writeAll(t, last, data[:n])
		want, end := slices.Clone(all[:10]), headerSize
		for _, f := range all[10:] {
			if end += frameHeader + len(f.payload); end <= n {
				want = append(want, f)
			}
		}
		if got := reopen(t, dir); !slices.Equal(got, want) {
			t.Fatalf("cut at %d of %d: frames %v, want %v", n, len(data), seqs(got), seqs(want))
		}
	}
}

// The log goes on after each cut, and no number is used twice.
func TestAppendAfterCut(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir)
	last := segmentFiles(t, dir)[1]
	data := readAll(t, last)
	for n := 0; n <= len(data); n += 7 {
		broken := copyDir(t, dir)
		writeAll(t, filepath.Join(broken, filepath.Base(last)), data[:n])
		before := reopen(t, broken)
		l := mustOpen(t, broken, options())
		mustRoll(t, l, []byte("new head"))
		mustAppend(t, l, Data, []byte("new"))
		got, _ := read(l, 0)
		if !slices.Equal(got[:len(before)], before) || len(got) != len(before)+3 {
			t.Fatalf("cut at %d: %v, want %v and three more", n, seqs(got), seqs(before))
		}
		if s := seqs(got); !slices.IsSorted(s) || len(slices.Compact(slices.Clone(s))) != len(s) {
			t.Fatalf("cut at %d: numbers %v do not rise", n, s)
		}
		mustClose(t, l)
	}
}

// A flipped bit costs the frame it lies in, no other, and one in the segment
// header costs nothing.
func TestFlipEveryBit(t *testing.T) {
	dir := t.TempDir()
	all := sample(t, dir)
	for i, path := range segmentFiles(t, dir) {
		data := readAll(t, path)
		for bit := range 8 * len(data) {
			broken := bytes.Clone(data)
			broken[bit/8] ^= 1 << (bit % 8)
			writeAll(t, path, broken)
			got, want := reopen(t, dir), without(all, i*10, bit/8)
			if !slices.Equal(got, want) {
				t.Fatalf("segment %d, bit %d of byte %d: frames %v, want %v", i, bit%8, bit/8, seqs(got), seqs(want))
			}
		}
		writeAll(t, path, data)
	}
}

// without returns all but the frame that has the byte at offset at of the
// segment that begins with all[first].
func without(all []frame, first, at int) []frame {
	end := headerSize
	for i := first; i < first+10; i++ {
		begin := end
		if end += frameHeader + len(all[i].payload); begin <= at && at < end {
			return slices.Delete(slices.Clone(all), i, i+1)
		}
	}
	return all
}

// Random damage in a large log: every frame it did not touch is found, every
// one it touched is not, and the reader accounts for the difference.
func TestRandomDamage(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, options())
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		if n%500 == 0 {
			mustRoll(t, l, payload(uint64(n), 5000))
		}
		mustAppend(t, l, Data, payload(uint64(n), rnd.IntN(3000)))
	}
	all, _ := read(l, 0)
	mustClose(t, l)
	touched := make(map[uint64]bool)
	for _, path := range segmentFiles(t, dir) {
		data := readAll(t, path)
		for range 30 {
			from := headerSize + rnd.IntN(len(data)-headerSize)
			hole := data[from:min(len(data), from+1+rnd.IntN(4096))]
			overwrite(rnd, hole)
			markTouched(touched, all, path, from, from+len(hole))
		}
		writeAll(t, path, data)
	}
	l = mustOpen(t, dir, options())
	mustRoll(t, l) // so that a segment follows the last damaged one
	got, damage := read(l, 0)
	want := slices.DeleteFunc(slices.Clone(all), func(f frame) bool { return touched[f.seq] })
	if !slices.Equal(got, want) {
		t.Errorf("%d frames, want %d", len(got), len(want))
	}
	if damage.Bytes == 0 || damage.Frames == 0 || damage.Frames > uint64(len(touched)) {
		t.Errorf("damage %+v, want some and at most %d frames", damage, len(touched))
	}
	if got := l.Stats().Damage; got != damage {
		t.Errorf("stats have damage %+v, the reader %+v", got, damage)
	}
	read(l, 0)
	if got := l.Stats().Damage; got != damage {
		t.Errorf("a second reader counted the damage again: %+v, want %+v", got, damage)
	}
}

// overwrite changes every byte, in one of the ways disks do.
func overwrite(rnd *rand.Rand, b []byte) {
	for i := range b {
		b[i] ^= byte(1 + rnd.IntN(255))
	}
}

// markTouched notes the frames of the segment at path that have a byte from
// from to to.
func markTouched(touched map[uint64]bool, all []frame, path string, from, to int) {
	first, _ := parseName(filepath.Base(path))
	end := headerSize
	for _, f := range all {
		if f.segment != first {
			continue
		}
		begin := end
		if end += frameHeader + len(f.payload); begin < to && from < end {
			touched[f.seq] = true
		}
	}
}

// A cursor that outlived lost bytes must not hide new frames: the next number
// is above everything it knows.
func TestCursorAheadOfLog(t *testing.T) {
	dir := t.TempDir()
	sample(t, dir) // numbers 1 to 20
	l := mustOpen(t, dir, options())
	c := mustCursor(t, l, "mimir")
	if err := c.Save(State{Acked: []Range{{0, 500}}, InFlight: Range{500, 777}}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)

	l = mustOpen(t, dir, options())
	mustRoll(t, l)
	if seq := mustAppend(t, l, Data, []byte("new")); seq < 777 {
		t.Errorf("new frame has number %d, which the range in flight [500, 777) hides", seq)
	}
	if _, damage := read(l, 0); damage != (Damage{}) {
		t.Errorf("the jump counts as damage %+v", damage)
	}
}

// What this program does not understand stays as it is, counts, and is
// mentioned once.
func TestForeignFilesStay(t *testing.T) {
	newer := appendHeader(nil, 90, 0)
	newer[8] = 2
	newer = reseal(append(newer, "frames of another kind"...))
	flagged := appendHeader(nil, 95, 0)
	flagged[10] = 4
	flagged = reseal(flagged)
	files := map[string][]byte{
		segmentName(90):            newer,
		segmentName(95):            flagged,
		segmentName(99):            []byte("rubbish that is no segment at all, and long enough for a header"),
		"notes.txt":                []byte("hello"),
		"99999999999999999999.wal": []byte("a number that does not fit"),
		"abc.cursor":               []byte("x"),
	}
	dir := t.TempDir()
	all := sample(t, dir)
	size := int64(0)
	for name, b := range files {
		writeAll(t, filepath.Join(dir, name), b)
		size += int64(len(b))
	}
	o := options()
	var text *bytes.Buffer
	o.Logger, text = logged()
	l := mustOpen(t, dir, o)
	mustRoll(t, l)
	mustAppend(t, l, Data, []byte("x"))
	l.keepHouse(l.segments[0].newest)
	if got, _ := read(l, 0); len(got) != 11 || got[10].seq <= 99 || !slices.Equal(got[:10], all[10:]) {
		t.Errorf("after trimming the log has %v, want the segment before and one frame above 99", seqs(got))
	}
	s := l.Stats()
	if s.SetAside != 3 || s.Bytes < size || s.Bytes != dirSize(t, dir) {
		t.Errorf("stats %+v, want 3 set aside, at least %d other bytes, %d in all", s, size, dirSize(t, dir))
	}
	mustClose(t, l)
	for name, b := range files {
		if got := readAll(t, filepath.Join(dir, name)); !bytes.Equal(got, b) {
			t.Errorf("%s was changed to %q", name, got)
		}
	}
	for _, first := range []uint64{90, 95, 99} {
		if n := strings.Count(text.String(), segmentName(first)); n != 1 {
			t.Errorf("segment %d was mentioned %d times, want once:\n%s", first, n, text)
		}
	}
}

// reseal makes the header checksum right again.
func reseal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}
