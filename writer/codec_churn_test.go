package writer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// churn makes collections of several sources whose series come, go, return
// and are mentioned twice, and whose labels and starts change now and then.
type churn struct {
	*rand.Rand
	now     int64
	descs   []*metric.Desc
	sources []*churnSource
}

type churnSource struct {
	source *metric.Source
	pool   []metric.Sample
	there  []bool
	starts []int64
}

func newChurn(seed uint64, sources, series int) *churn {
	g := &churn{Rand: rand.New(rand.NewPCG(seed, 1)), now: 1_800_000_000_000}
	for i := range 8 {
		g.descs = append(g.descs, &metric.Desc{Name: fmt.Sprintf("m%d_total", i), Type: metric.Type(i % 4), Help: "Help.", Labels: []string{"a", "b"}[:i%3]})
	}
	for i := range sources {
		s := &churnSource{source: testSource(fmt.Sprintf("s%d", i))}
		for n := range series {
			d := g.descs[n%len(g.descs)]
			values := []string{fmt.Sprintf("v%d", n), "w"}[:len(d.Labels)]
			if len(values) == 0 && n >= len(g.descs) {
				continue
			}
			s.pool = append(s.pool, metric.Sample{Desc: d, Values: values, Value: g.value()})
			s.there, s.starts = append(s.there, g.IntN(3) > 0), append(s.starts, 0)
		}
		g.sources = append(g.sources, s)
	}
	return g
}

func (g *churn) value() float64 {
	odd := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(staleNaN),
		math.Float64frombits(0x7ff8000000000bad), math.SmallestNonzeroFloat64, math.MaxFloat64, -1, 1 << 53, 1 << 62, -1 << 63, 0.1, 1e300}
	switch g.IntN(5) {
	case 0:
		return odd[g.IntN(len(odd))]
	case 1:
		return g.NormFloat64()
	case 2:
		return float64(g.IntN(1e6)) * 0.001
	case 3:
		return float64(g.IntN(1e6)) * 4096
	}
	return float64(g.IntN(1000)) / 100
}

// next returns the next collection.
func (g *churn) next() *metric.Collection {
	s := g.sources[g.IntN(len(g.sources))]
	if g.IntN(40) == 0 {
		src := *s.source
		src.Labels = append(slices.Clone(src.Labels[:2]), metric.Label{Name: "site", Value: fmt.Sprint(g.IntN(3))})
		s.source = &src
	}
	g.now += 1000 + g.Int64N(5)
	c := &metric.Collection{Source: s.source, Time: g.now + g.Int64N(3), Mono: g.now - 1_700_000_000_000}
	if g.IntN(50) == 0 {
		c.Time += 1 << 40 // the clock is stepped
	}
	storm := g.IntN(20) == 0
	for i := range s.pool {
		if g.IntN(30) == 0 || storm && g.IntN(2) == 0 {
			s.there[i] = !s.there[i]
		}
		if s.there[i] {
			c.Samples = append(c.Samples, g.sample(s, i))
		}
	}
	if n := len(c.Samples); n > 2 && g.IntN(4) == 0 {
		c.Samples = append(c.Samples, c.Samples[g.IntN(n)])
		i, j := g.IntN(n), g.IntN(n)
		c.Samples[i], c.Samples[j] = c.Samples[j], c.Samples[i]
	}
	return c
}

func (g *churn) sample(s *churnSource, i int) metric.Sample {
	p := &s.pool[i]
	switch g.IntN(4) {
	case 0:
		p.Value = g.value()
	case 1:
		p.Value += float64(g.IntN(10))
	}
	sample := *p
	if i%5 == 0 {
		if g.IntN(20) == 0 {
			s.starts[i] = g.now
		}
		sample.Start = s.starts[i]
		sample.Ext = &metric.Ext{Float: i%2 == 0, Histogram: []byte(fmt.Sprint("histogram", g.IntN(3)))}
		if g.IntN(2) == 0 {
			sample.Ext.Exemplars = [][]byte{{}, []byte("exemplar")}
		}
	}
	return sample
}

// wrote is a collection as it must come back.
type wrote struct {
	source     string
	time, mono int64
	values     map[string]uint64
	ext        map[string]metric.Ext
	starts     map[string]int64 // of counters that say when they began
	gone       []string
}

// history collects what was appended.
type history struct {
	list []wrote
	last map[string]map[string]uint64 // by source
}

func (h *history) add(c *metric.Collection) {
	w := wrote{source: c.Source.Name, time: c.Time, mono: c.Mono, values: wantOf(c), ext: map[string]metric.Ext{}, starts: map[string]int64{}}
	seen := map[string]bool{}
	for _, s := range c.Samples {
		key := seriesText(appendIdentity(nil, c.Source.Labels, s.Desc, s.Values))
		if s.Ext != nil && !seen[key] {
			w.ext[key] = *s.Ext
		}
		if s.Start != 0 && !seen[key] && cumulative(s.Desc) {
			w.starts[key] = s.Start
		}
		seen[key] = true
	}
	for _, key := range missing(h.last[w.source], w.values) {
		if !h.elsewhere(w.source, key) {
			w.gone = append(w.gone, key)
		}
	}
	if h.last == nil {
		h.last = map[string]map[string]uint64{}
	}
	h.last[w.source] = w.values
	h.list = append(h.list, w)
}

// elsewhere reports whether the newest collection of another source has a series.
func (h *history) elsewhere(source, key string) bool {
	for name, values := range h.last {
		if _, ok := values[key]; ok && name != source {
			return true
		}
	}
	return false
}

// missing returns the keys of a that b does not have, sorted.
func missing(a, b map[string]uint64) (out []string) {
	for key := range a {
		if _, ok := b[key]; !ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

func goneOf(c *decoded) (out []string) {
	for _, id := range c.gone {
		out = append(out, seriesText(c.dict.series[id].labels))
	}
	slices.Sort(out)
	return out
}

func extOf(c *decoded) map[string]metric.Ext {
	m := map[string]metric.Ext{}
	for id, e := range c.ext {
		m[seriesText(c.dict.series[id].labels)] = *e
	}
	return m
}

// same tells how c differs from w, "" when it does not.
func (w *wrote) same(c *decoded) string {
	got := extOf(c)
	for id := range c.present.each {
		n := c.dict.series[id]
		if want, ok := w.starts[seriesText(n.labels)]; ok && n.start != want {
			return fmt.Sprintf("%s began at %d, want %d", seriesText(n.labels), n.start, want)
		}
		if !cumulative(n.desc) && n.start != 0 {
			return fmt.Sprintf("%s began at %d, want never", seriesText(n.labels), n.start)
		}
	}
	switch {
	case c.dict.source != w.source || c.time != w.time || c.mono != w.mono:
		return fmt.Sprintf("%s at %d, %d, want %s at %d, %d", c.dict.source, c.time, c.mono, w.source, w.time, w.mono)
	case c.lost != 0 || c.count != len(w.values) || !maps.Equal(valuesOf(c), w.values):
		return fmt.Sprintf("%d values %v, want %d %v", c.count, valuesOf(c), len(w.values), w.values)
	case !slices.Equal(goneOf(c), w.gone):
		return fmt.Sprintf("gone %q, want %q", goneOf(c), w.gone)
	case !reflect.DeepEqual(got, w.ext):
		return fmt.Sprintf("ext %v, want %v", got, w.ext)
	}
	return ""
}

// Whatever comes, goes, returns and changes its name comes back as it was
// written, whether a segment is long or short. A frame needs nothing behind
// it, so this holds for every prefix of the log.
func TestRoundTrip(t *testing.T) {
	for name, maxSize := range map[string]int64{"long segments": 256 << 20, "short segments": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			g, log, h := newChurn(1, 3, 60), &memoryLog{}, &history{}
			e := newEncoder(log, maxSize, nil)
			for range 2000 {
				c := g.next()
				h.add(c)
				if err := e.append(c); err != nil {
					t.Fatal(err)
				}
			}
			d, n := newDecoder(), 0
			for _, f := range log.frames {
				c, err := d.decode(f)
				if err != nil {
					t.Fatal(err)
				}
				if c == nil {
					continue
				}
				if countSamples(f) != c.count {
					t.Fatalf("countSamples = %d, want %d", countSamples(f), c.count)
				}
				if diff := h.list[n].same(c); diff != "" {
					t.Fatalf("collection %d, frame %d of kind %d: %s", n, f.Seq, f.Kind, diff)
				}
				n++
				d.release(c)
			}
			if n != len(h.list) {
				t.Errorf("%d collections, want %d", n, len(h.list))
			}
			t.Logf("%d frames, %d bytes, dropped %+v", len(log.frames), log.bytes, e.drops)
		})
	}
}

// damagedLog is a short log of two sources with updates, steps and a roll.
func damagedLog(t *testing.T, collections int, maxSize int64) (*memoryLog, *history) {
	g, log, h := newChurn(3, 2, 20), &memoryLog{}, &history{}
	e := newEncoder(log, maxSize, nil)
	for range collections {
		c := g.next()
		h.add(c)
		if err := e.append(c); err != nil {
			t.Fatal(err)
		}
	}
	return log, h
}

// Any frame may be missing, or any head with its copy. The rest is what it
// was: no value and no label is ever another one, and only what depends on
// the frame is gone.
func TestAnyFrameLost(t *testing.T) {
	t.Run("short segments", func(t *testing.T) { anyFrameLost(t, 64<<10) })
	t.Run("long segments", func(t *testing.T) { anyFrameLost(t, 64<<20) })
}

func anyFrameLost(t *testing.T, maxSize int64) {
	log, h := damagedLog(t, 300, maxSize)
	for drop, f := range log.frames {
		without(t, log, h, drop)
		for twin := drop + 1; f.Kind == wal.Head && twin < len(log.frames) && log.frames[twin].Kind == wal.Head; twin++ {
			if string(log.frames[twin].Payload) == string(f.Payload) {
				without(t, log, h, drop, twin)
			}
		}
	}
}

// without decodes the segment of the first dropped frame without the dropped ones.
func without(t *testing.T, log *memoryLog, h *history, drop ...int) {
	d, n, hurt := newDecoder(), -1, 0
	for i, f := range log.frames {
		if f.Kind != wal.Head {
			n++
		}
		if f.Segment != log.frames[drop[0]].Segment || slices.Contains(drop, i) {
			continue
		}
		c, err := d.decode(f)
		if err != nil {
			hurt++
			depends(t, log, drop, i, err)
		}
		if c == nil {
			continue
		}
		if c.lost > 0 && len(drop) == 1 {
			t.Fatalf("without frame %d: frame %d lost samples", drop, i)
		}
		if diff := h.list[n].contradicts(c); diff != "" {
			t.Fatalf("without frame %d: frame %d: %s", drop, i, diff)
		}
		d.release(c)
	}
	if log.frames[drop[0]].Kind != wal.Key && len(drop) == 1 && hurt > 0 {
		t.Fatalf("without frame %d of kind %d: %d others cannot be read", drop, log.frames[drop[0]].Kind, hurt)
	}
}

// contradicts tells what c says that is not so, "" when it merely lacks something.
func (w *wrote) contradicts(c *decoded) string {
	values := valuesOf(c)
	for key, bits := range values {
		if want, ok := w.values[key]; !ok || want != bits {
			return fmt.Sprintf("%s %x, want %x", key, bits, want)
		}
	}
	if c.count+c.lost != len(w.values) || c.count != len(values) {
		return fmt.Sprintf("%d samples and %d lost of %d", c.count, c.lost, len(w.values))
	}
	for _, key := range goneOf(c) {
		if _, ok := w.values[key]; ok {
			return key + "is not gone"
		}
	}
	return ""
}

// depends checks that frame i may be lost because the dropped ones are.
func depends(t *testing.T, log *memoryLog, drop []int, i int, err error) {
	t.Helper()
	lost, f := log.frames[drop[0]], log.frames[i]
	if !errors.Is(err, errDamaged) || i < drop[0] {
		t.Fatalf("without frame %d: frame %d: %v", drop, i, err)
	}
	if len(drop) == 2 {
		return
	}
	was, _, _ := parseFrameHeader(lost.Payload)
	h, _, _ := parseFrameHeader(f.Payload)
	if lost.Kind != wal.Key || h.source != was.source {
		t.Fatalf("without frame %d of kind %d: frame %d: %v", drop, lost.Kind, i, err)
	}
	for _, between := range log.frames[drop[0]+1 : i] { // no key in between that needs no other
		b, _, _ := parseFrameHeader(between.Payload)
		if between.Kind == wal.Key && b.source == h.source && b.flags&flagStep == 0 {
			t.Fatalf("without frame %d: frame %d behind the next key: %v", drop, i, err)
		}
	}
}

// Reading may begin at any frame of a segment that the heads and keys come
// along for; what was decoded before is not needed.
func TestBeginAnywhere(t *testing.T) {
	log, h := damagedLog(t, 150, 64<<10)
	for start := range log.frames {
		d, n := newDecoder(), -1
		for i, f := range log.frames {
			if f.Kind != wal.Head {
				n++
			}
			if i < start && f.Kind == wal.Data {
				continue
			}
			c, err := d.decode(f)
			if err != nil {
				t.Fatalf("from frame %d: %v", start, err)
			}
			if c != nil && !maps.Equal(valuesOf(c), h.list[n].values) {
				t.Fatalf("from frame %d: frame %d differs", start, i)
			}
		}
	}
}
