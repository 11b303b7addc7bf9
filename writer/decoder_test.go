package writer

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/golang/snappy"

	"nodepush/metric"
	"nodepush/writer/wal"
)

func openLog(t testing.TB, dir string) *wal.Log {
	t.Helper()
	log, err := wal.Open(dir, wal.Options{MaxSize: 64 << 20, SyncInterval: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// run writes collections as one run of the agent does.
func run(t testing.TB, dir string, list ...*metric.Collection) {
	t.Helper()
	log := openLog(t, dir)
	defer log.Close()
	e := newEncoder(log, 64<<20, restore(log))
	for _, c := range list {
		if err := e.append(c); err != nil {
			t.Fatal(err)
		}
	}
}

// readLog decodes a whole log and passes what it says to see.
func readLog(t testing.TB, dir string, see func(c *decoded, err error)) {
	t.Helper()
	log := openLog(t, dir)
	defer log.Close()
	r, d := log.Reader(0), newDecoder()
	defer r.Close()
	for f, ok := r.Next(); ok; f, ok = r.Next() {
		if c, err := d.decode(f); c != nil || err != nil {
			see(c, err)
		}
	}
}

func label(site, l string) string {
	return fmt.Sprintf(`__name__="g" job="node" l=%q site=%q `, l, site)
}

func sited(name, site string) *metric.Source {
	return &metric.Source{Name: name, Labels: []metric.Label{{Name: "site", Value: site}, {Name: "job", Value: "node"}}}
}

// What vanished while the agent was down, and what has another name since, is
// stale in the first collection of the next run, once.
func TestRestart(t *testing.T) {
	a, b, gone := sited("a", "1"), sited("b", "2"), sited("gone", "3")
	minutes := func(src *metric.Source, minute int64, values ...string) *metric.Collection {
		return collection(src, 60*minute, values...)
	}
	dir := t.TempDir()
	run(t, dir, minutes(a, 1, "x", "y"), minutes(b, 1, "x"), minutes(gone, 1, "x"), minutes(a, 2, "y", "z"))
	run(t, dir, minutes(a, 3, "z", "new"))
	run(t, dir)
	run(t, dir, minutes(sited("a", "moved"), 4, "z"), minutes(b, 5, "x"), minutes(b, 9, "x"), minutes(b, 10, "x"), minutes(b, 11, "x"))
	run(t, dir, minutes(sited("a", "moved"), 12, "z"), minutes(b, 30, "x"))
	want := []string{
		"a 1 []", "b 1 []", "gone 1 []",
		"a 2 [" + label("1", "x") + "]",
		"a 3 [" + label("1", "y") + "]",
		"a 4 [" + label("1", "new") + " " + label("1", "z") + "]",
		"b 5 []", "b 9 []",
		"gone 9 [" + label("3", "x") + "]",
		"b 10 []", "b 11 []",
		"a 12 []", "b 30 []",
	}
	var got []string
	readLog(t, dir, func(c *decoded, err error) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(c.dict.source, " ", c.mono/60000, " ", goneOf(c)))
	})
	if !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			t.Logf("%q, want %q", at(got, i), at(want, i))
		}
		t.Error("wrong series are stale")
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// A run that died while it began its segment leaves heads of some sources, or
// none; the others are found in the segment before.
func TestRestoreTorn(t *testing.T) {
	dir := t.TempDir()
	a, b := sited("a", "1"), sited("b", "2")
	run(t, dir, collection(a, 1, "x"), collection(b, 1, "y"))
	run(t, dir, collection(a, 2, "x"))
	last := newest(t, dir)
	whole, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		torn := t.TempDir()
		if err := os.CopyFS(torn, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(torn, filepath.Base(last)), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		log := openLog(t, torn)
		found := map[string]int{}
		for _, l := range restore(log) {
			found[l.dict.source] += l.present.count()
		}
		log.Close()
		if want := map[string]int{"a": 1, "b": 1}; !maps.Equal(found, want) {
			t.Fatalf("cut at byte %d of %d: restored %v, want %v", n, len(whole), found, want)
		}
	}
}

func newest(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments %q, %v", names, err)
	}
	return names[len(names)-1]
}

// A segment that is cut anywhere, or has any bit flipped, never says what was
// not collected.
func TestDamagedSegment(t *testing.T) {
	dir, h := t.TempDir(), &history{}
	g := newChurn(7, 2, 5)
	var list []*metric.Collection
	for range 10 {
		c := g.next()
		c.Source = g.sources[0].source
		h.add(c)
		list = append(list, c)
	}
	run(t, dir, list...)
	name := newest(t, dir)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	byTime := map[int64]*wrote{}
	for i := range h.list {
		byTime[h.list[i].mono] = &h.list[i]
	}
	check := func(what string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		readLog(t, dir, func(c *decoded, err error) {
			if err != nil {
				if !errors.Is(err, errDamaged) {
					t.Fatalf("%s: %v", what, err)
				}
				return
			}
			w := byTime[c.mono]
			if w == nil || w.time != c.time {
				t.Fatalf("%s: a collection at %d", what, c.mono)
			}
			if diff := w.contradicts(c); diff != "" {
				t.Fatalf("%s: %s", what, diff)
			}
		})
	}
	for n := range whole {
		check(fmt.Sprint("cut at byte ", n), whole[:n])
		flipped := slices.Clone(whole)
		flipped[n] ^= 1 << (n % 8)
		check(fmt.Sprint("bit flipped in byte ", n), flipped)
	}
}

// A key of which only the start can be read must not be what data refer to.
func TestHalfKey(t *testing.T) {
	log, src := &memoryLog{}, testSource("node")
	e := newEncoder(log, 64<<20, nil)
	const third = firstPeriod + 2*firstPeriod // by when the second has taken the form of the third
	for second := range int64(third + stepPeriod + 3) {
		appendAll(t, e, collection(src, second, "x", "y", "z"))
	}
	key := 2 + third // behind the heads
	for cut := range log.frames[key].Payload {
		d := newDecoder()
		for i, f := range log.frames {
			if i == key {
				f.Payload = f.Payload[:cut]
			}
			c, err := d.decode(f)
			if i >= key && (c != nil || !errors.Is(err, errDamaged)) {
				t.Fatalf("key cut at byte %d: frame %d: %v, %v", cut, i, c, err)
			}
		}
	}
}

// Payloads that no encoder wrote, behind intact checksums, are errors; they
// neither panic nor take memory without measure. The input is frames of kind,
// length (2 bytes) and payload, without compression, which would hide what is
// in them from the fuzzer.
func FuzzDecoder(f *testing.F) {
	log := &memoryLog{}
	g, e := newChurn(11, 2, 10), newEncoder(log, 64<<10, nil)
	for range 30 {
		if err := e.append(g.next()); err != nil {
			f.Fatal(err)
		}
	}
	for from := 0; from+12 < len(log.frames); from += 7 {
		f.Add(joined(log.frames[from : from+12]))
	}
	f.Add(joined(log.frames))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDecoder()
		for seq := uint64(1); len(data) > 3; seq++ {
			kind, n := wal.Kind(data[0]), min(int(data[1])<<8+int(data[2]), len(data)-3)
			payload := data[3 : 3+n]
			data = data[3+n:]
			if kind == wal.Head && n > 0 {
				payload = append([]byte{payload[0]}, snappy.Encode(nil, payload[1:])...)
			}
			frame := wal.Frame{Seq: seq, Kind: kind, Payload: payload, Segment: 1}
			c, err := d.decode(frame)
			if err != nil && !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			if c != nil {
				checkDecoded(t, frame, c)
				d.release(c)
			}
		}
	})
}

// joined returns frames as an input of FuzzDecoder.
func joined(frames []wal.Frame) (data []byte) {
	var p packer
	for _, f := range frames {
		payload := slices.Clone(f.Payload)
		if f.Kind == wal.Head {
			body, _ := p.unpack(payload[1:])
			payload = append(payload[:1:1], body...)
		} else if h, body, _ := parseFrameHeader(payload); h.flags&flagSnappy != 0 {
			body, _ = p.unpack(body)
			h.flags &^= flagSnappy
			payload = append(h.append(nil), body...)
		}
		data = append(data, byte(f.Kind), byte(len(payload)>>8), byte(len(payload)))
		data = append(data, payload...)
	}
	return data
}

// checkDecoded checks what every user of a decoded collection relies on.
func checkDecoded(t *testing.T, f wal.Frame, c *decoded) {
	t.Helper()
	if c.count != c.present.count() || c.count+c.lost != countSamples(f) {
		t.Fatalf("%d samples and %d lost, %d present, header says %d", c.count, c.lost, c.present.count(), countSamples(f))
	}
	for id := range c.present.each {
		if !c.dict.known(id) || id >= len(c.values) {
			t.Fatalf("series %d is present and unknown", id)
		}
	}
	for id := range c.ext {
		if !c.present.has(id) {
			t.Fatalf("series %d has a histogram and is absent", id)
		}
	}
	for _, id := range c.gone {
		if c.present.has(id) || !c.dict.known(id) {
			t.Fatalf("series %d is present or unknown, and gone", id)
		}
	}
}
