package writer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// decodeAll returns copies of what the frames say, in their order.
func decodeAll(t *testing.T, frames []wal.Frame) (list []*decoded) {
	t.Helper()
	d := newDecoder()
	for _, f := range frames {
		c, err := d.decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

func appendAll(t *testing.T, e *encoder, list ...*metric.Collection) {
	t.Helper()
	for _, c := range list {
		if err := e.append(c); err != nil {
			t.Fatal(err)
		}
	}
}

// collection makes one of a gauge g for each label value.
func collection(src *metric.Source, second int64, values ...string) *metric.Collection {
	c := &metric.Collection{Source: src, Time: 1_800_000_000_000 + second*1000, Mono: 1000 * second}
	for i, v := range values {
		c.Samples = append(c.Samples, metric.Sample{Desc: gauge, Values: []string{v}, Value: float64(i) + float64(second)})
	}
	return c
}

var gauge = &metric.Desc{Name: "g", Type: metric.Gauge, Help: "A gauge.", Labels: []string{"l"}}

func TestSampleToSeries(t *testing.T) {
	two := &metric.Desc{Name: "m", Labels: []string{"a", "job"}, Type: metric.Counter}
	swapped := &metric.Desc{Name: "m", Labels: []string{"job", "a"}, Type: metric.Counter}
	broken := &metric.Desc{Name: "b", Labels: []string{"\xff", ""}}
	source := `instance="gateway-17.example" `
	for _, tt := range []struct {
		name    string
		samples []metric.Sample
		want    map[string]uint64
		drops   encoderDrops
	}{
		{"label wins over the source's", []metric.Sample{{Desc: two, Values: []string{"x", "own"}, Value: 1}},
			map[string]uint64{`__name__="m" a="x" ` + source + `job="own" site="plant-7" `: math.Float64bits(1)}, encoderDrops{}},
		{"empty label is absent", []metric.Sample{{Desc: two, Values: []string{"", ""}, Value: 1}},
			map[string]uint64{`__name__="m" ` + source + `job="node" site="plant-7" `: math.Float64bits(1)}, encoderDrops{}},
		{"same series under two descriptions", []metric.Sample{
			{Desc: two, Values: []string{"x", "y"}, Value: 1}, {Desc: swapped, Values: []string{"y", "x"}, Value: 2}},
			map[string]uint64{`__name__="m" a="x" ` + source + `job="y" site="plant-7" `: math.Float64bits(1)}, encoderDrops{duplicate: 1}},
		{"mentioned twice", []metric.Sample{
			{Desc: two, Values: []string{"x", "y"}, Value: 1}, {Desc: two, Values: []string{"x", "y"}, Value: 2}},
			map[string]uint64{`__name__="m" a="x" ` + source + `job="y" site="plant-7" `: math.Float64bits(1)}, encoderDrops{duplicate: 1}},
		{"text that is no UTF-8", []metric.Sample{{Desc: broken, Values: []string{"a\xc3z", "nameless"}, Value: 1}},
			map[string]uint64{`__name__="b" ` + source + `job="node" site="plant-7" ` + "\uFFFD=\"a\uFFFDz\" ": math.Float64bits(1)}, encoderDrops{}},
		{"stale marker of a collector", []metric.Sample{{Desc: two, Values: []string{"x", "y"}, Value: math.Float64frombits(0x7ff0000000000002)}},
			map[string]uint64{`__name__="m" a="x" ` + source + `job="y" site="plant-7" `: 0x7ff8000000000001}, encoderDrops{}},
		{"no name, wrong number of values", []metric.Sample{{Desc: &metric.Desc{}}, {Desc: two, Values: []string{"x"}}},
			map[string]uint64{}, encoderDrops{invalid: 2}},
		{"absurd label", []metric.Sample{{Desc: two, Values: []string{"x", strings.Repeat("y", 1<<20)}}},
			map[string]uint64{}, encoderDrops{invalid: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &memoryLog{}
			e := newEncoder(log, 256<<20, nil)
			c := &metric.Collection{Source: testSource("node"), Samples: tt.samples}
			appendAll(t, e, c, c)
			tt.drops = encoderDrops{2 * tt.drops.duplicate, 2 * tt.drops.invalid, 0}
			if e.drops != tt.drops {
				t.Errorf("dropped %+v, want %+v", e.drops, tt.drops)
			}
			for _, got := range decodeAll(t, log.frames) {
				if !maps.Equal(valuesOf(got), tt.want) {
					t.Errorf("got %v, want %v", valuesOf(got), tt.want)
				}
			}
		})
	}
}

func TestDescriptionsAndStarts(t *testing.T) {
	src := testSource("node")
	counter := &metric.Desc{Name: "c_sum", Family: "c", Type: metric.Summary, Help: "Hälp.", Unit: "seconds"}
	quantile := &metric.Desc{Name: "c", Type: metric.Summary, Labels: []string{"quantile"}}
	at := func(start int64) *metric.Collection {
		return &metric.Collection{Source: src, Samples: []metric.Sample{
			{Desc: counter, Start: start}, {Desc: gauge, Values: []string{"x"}, Start: start}, {Desc: quantile, Values: []string{"0.5"}, Start: start}}}
	}
	log := &memoryLog{}
	e := newEncoder(log, 256<<20, nil)
	appendAll(t, e, at(0), at(5), at(5), at(9))
	var starts []int64
	list := decodeAll(t, log.frames)
	for _, c := range list {
		starts = append(starts, c.dict.series[0].start)
		if g, q := c.dict.series[1].start, c.dict.series[2].start; g != 0 || q != 0 {
			t.Errorf("a gauge began at %d, a quantile at %d", g, q)
		}
	}
	if want := []int64{src.Start, 5, 5, 9}; !slices.Equal(starts, want) {
		t.Errorf("starts %d, want %d", starts, want)
	}
	dict := list[0].dict
	if d := dict.series[0].desc; d.Name != "c_sum" || d.Family != "c" || d.Type != metric.Summary || d.Help != "Hälp." || d.Unit != "seconds" {
		t.Errorf("description %+v", *d)
	}
	if dict.series[1].start != 0 || dict.bootID != src.BootID || dict.source != "node" {
		t.Errorf("dictionary %+v", dict)
	}
}

func segments(log *memoryLog) int {
	seen := map[uint64]bool{}
	for _, f := range log.frames {
		seen[f.Segment] = true
	}
	return len(seen)
}

func TestRoll(t *testing.T) {
	src := testSource("node")
	var many, others []string
	for i := range 400 {
		many, others = append(many, fmt.Sprint("v", i)), append(others, fmt.Sprint("w", i))
	}
	relabeled, sameAgain, rebooted := *src, *src, *src
	relabeled.Labels = []metric.Label{{Name: "job", Value: "other"}}
	sameAgain.Labels = slices.Clone(src.Labels)
	rebooted.BootID = [16]byte{9}
	for _, tt := range []struct {
		name  string
		prior int64 // size that the segment has grown to in between
		list  []*metric.Collection
		want  int
	}{
		{"one segment", 0, []*metric.Collection{collection(src, 1, "x"), collection(src, 2, "x", "y")}, 1},
		{"full", 512 << 10, []*metric.Collection{collection(src, 1, "x"), collection(src, 2, "x")}, 2},
		{"nearly full", 511 << 10, []*metric.Collection{collection(src, 1, "x"), collection(src, 2, "x")}, 1},
		{"most of the dictionary dead", 0, []*metric.Collection{collection(src, 1, many...), collection(src, 2, "v0"), collection(src, 3, "v0")}, 2},
		{"half of the dictionary dead", 0, []*metric.Collection{collection(src, 1, many...), collection(src, 2, many[:200]...), collection(src, 3, many...)}, 1},
		{"other series", 0, []*metric.Collection{collection(src, 1, many...), collection(src, 2, others...), collection(src, 3, others...)}, 1},
		{"labels changed", 0, []*metric.Collection{collection(src, 1, "x"), collection(&relabeled, 2, "x")}, 2},
		{"boot", 0, []*metric.Collection{collection(src, 1, "x"), collection(&rebooted, 2, "x")}, 2},
		{"the same source again", 0, []*metric.Collection{collection(src, 1, "x"), collection(&sameAgain, 2, "x")}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, h := &memoryLog{}, &history{}
			e := newEncoder(log, 256<<20, nil)
			for i, c := range tt.list {
				h.add(c)
				appendAll(t, e, c)
				if i == 0 {
					log.size += tt.prior
				}
			}
			if got := segments(log); got != tt.want {
				t.Errorf("%d segments, want %d", got, tt.want)
			}
			for i, c := range decodeAll(t, log.frames) {
				if diff := h.list[i].same(c); diff != "" {
					t.Errorf("collection %d: %s", i, diff)
				}
			}
		})
	}
}

// A cap that has hardly room for the dictionary does not make the log one of
// dictionaries.
func TestRollSeldom(t *testing.T) {
	var values []string
	for i := range 500 {
		values = append(values, fmt.Sprint("v", i))
	}
	log, src := &memoryLog{}, testSource("node")
	e := newEncoder(log, 16<<10, nil)
	for second := range int64(100) {
		appendAll(t, e, collection(src, second, values...))
	}
	heads, all := 0, 0
	for _, f := range log.frames {
		all += 17 + len(f.Payload)
		if f.Kind == wal.Head {
			heads += 17 + len(f.Payload)
		}
	}
	if heads > all/2+1000 {
		t.Errorf("%d of %d bytes are heads, want at most half", heads, all)
	}
}

// Collectors that are missing, come back or move to another place change
// nothing about which value is whose.
func TestMatchByPosition(t *testing.T) {
	src, log, h := testSource("node"), &memoryLog{}, &history{}
	e := newEncoder(log, 1<<30, nil)
	for second, values := range []string{
		"a b c d e f g h i j", "a b c d e f g h i j", "a b g h i j", "a b c d e f g h i j",
		"a b x y c d e f g h i j", "g h i j a b x y c d e f", "", "j a",
	} {
		c := collection(src, int64(second), strings.Fields(values)...)
		h.add(c)
		appendAll(t, e, c)
	}
	for i, c := range decodeAll(t, log.frames) {
		if diff := h.list[i].same(c); diff != "" {
			t.Errorf("collection %d: %s", i, diff)
		}
	}
}

// A new segment names only what the last collections had, so that a
// dictionary cannot grow for ever.
func TestRollForgets(t *testing.T) {
	log := &memoryLog{}
	e := newEncoder(log, 256<<20, nil)
	for second := range int64(5000) {
		appendAll(t, e, collection(testSource("node"), second, "a", fmt.Sprint("come and gone ", second)))
	}
	s := e.byName["node"]
	if n := len(s.entries); n > 300 || len(s.names.list) > 300 {
		t.Errorf("%d series and %d spellings are remembered, want at most 300", n, len(s.names.list))
	}
}

// Whatever call fails, and the next one too: a collection whose append
// returned nil is in the log once, and no other is.
func TestAppendFails(t *testing.T) {
	const collections = 40
	for _, failures := range []int{1, 2, 3} {
		for first := 1; ; first++ {
			log, h := &memoryLog{}, &history{}
			log.fail = func(call int) bool { return call >= first && call < first+failures }
			g := newChurn(5, 2, 12)
			e := newEncoder(log, 64<<10, nil)
			for range collections {
				c := g.next()
				if err := e.append(c); err == nil {
					h.add(c)
				} else if failures == 1 && !log.rollFailed {
					t.Fatalf("call %d fails: %v, want the collection in a new segment", first, err)
				}
			}
			list := decodeAll(t, log.frames)
			if len(list) != len(h.list) {
				t.Fatalf("calls %d to %d fail: %d collections, want %d", first, first+failures-1, len(list), len(h.list))
			}
			for i, c := range list {
				if diff := h.list[i].same(c); diff != "" {
					t.Fatalf("calls %d to %d fail: collection %d: %s", first, first+failures-1, i, diff)
				}
			}
			if log.calls < first {
				break
			}
		}
	}
}

// A dictionary that one head frame does not hold is spread over several, and
// the loss of one costs only its series.
func TestLargeDictionary(t *testing.T) {
	var values []string
	for i := range 70_000 {
		values = append(values, fmt.Sprint("a rather long label value, so that it takes some room ", i))
	}
	log, src := &memoryLog{}, testSource("node")
	e := newEncoder(log, 1<<30, nil)
	appendAll(t, e, collection(src, 1, values...), collection(src, 2, values...))
	heads := map[string]bool{}
	for _, f := range log.frames {
		if f.Kind == wal.Head {
			heads[string(f.Payload)] = true
		}
	}
	if len(heads) < 3 {
		t.Fatalf("%d head frames, want several", len(heads))
	}
	for lost := range heads {
		d := newDecoder()
		for _, f := range log.frames {
			if f.Kind == wal.Head && string(f.Payload) == lost {
				continue
			}
			c, err := d.decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if c == nil {
				continue
			}
			if c.count+c.lost != len(values) || c.lost == 0 || c.lost > len(values)/2 {
				t.Fatalf("%d samples, %d lost of %d", c.count, c.lost, len(values))
			}
			for id := range c.present.each {
				if got := c.dict.series[id].labels[3]; got.Value != values[id] || c.values[id] != float64(id)+float64(c.mono/1000) {
					t.Fatalf("series %d is %q, %v", id, got, c.values[id])
				}
			}
		}
	}
}

// What fits in no frame is refused, and the next collection is written as usual.
func TestTooLarge(t *testing.T) {
	log, h, src := &memoryLog{}, &history{}, testSource("node")
	e := newEncoder(log, 256<<20, nil)
	noise, r := make([]byte, maxPayload+1), rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for second := range int64(30) {
		c := collection(src, second, "x", "y")
		if second >= 7 {
			c.Time += 1 << 40 // the clock is stepped: the first one would have been a key
		}
		if second%10 == 7 {
			c.Samples[0].Ext = &metric.Ext{Histogram: noise}
			if err := e.append(c); !errors.Is(err, errTooLarge) {
				t.Fatalf("append: %v, want %v", err, errTooLarge)
			}
			continue
		}
		h.add(c)
		appendAll(t, e, c)
	}
	for i, c := range decodeAll(t, log.frames) {
		if diff := h.list[i].same(c); diff != "" {
			t.Errorf("collection %d: %s", i, diff)
		}
	}
	if segments(log) != 1 {
		t.Errorf("%d segments, want 1", segments(log))
	}
}
