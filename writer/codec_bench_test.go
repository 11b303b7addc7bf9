package writer

import (
	"fmt"
	"testing"

	"nodepush/metric"
	"nodepush/writer/wal"
)

// hosts returns rounds of the recorded host, taken so many times over that
// they have about series each.
func hosts(tb testing.TB, series, rounds int) []metric.Collection {
	h := loadHost(tb)
	n := max(series/len(h.samples), 1)
	list := make([]metric.Collection, rounds)
	descs := map[*metric.Desc]*metric.Desc{}
	for i := range list {
		var one metric.Collection
		h.round(i, &one)
		c := &list[i]
		c.Source, c.Time, c.Mono = one.Source, one.Time, one.Mono
		for host := range n {
			for _, s := range one.Samples {
				if descs[s.Desc] == nil {
					d := *s.Desc
					d.Labels = append([]string{"host"}, d.Labels...)
					descs[s.Desc] = &d
				}
				c.Samples = append(c.Samples, metric.Sample{Desc: descs[s.Desc], Value: s.Value,
					Values: append([]string{fmt.Sprint("host-", host)}, s.Values...)})
			}
		}
	}
	return list
}

func TestEncodeAllocates(t *testing.T) {
	list := hosts(t, 1000, 200)
	e, next := newEncoder(&memoryLog{discard: true}, 256<<20, nil), again(list)
	for range list {
		appendAll(t, e, next())
	}
	// Two periods of keys, so that every kind of frame is among them.
	if n := testing.AllocsPerRun(2*fullPeriod, func() { appendAll(t, e, next()) }); n > 0 {
		t.Errorf("append allocates %v times, want 0", n)
	}
}

// again returns the collections of list over and over, ever later.
func again(list []metric.Collection) func() *metric.Collection {
	i, shift, c := 0, int64(0), metric.Collection{}
	return func() *metric.Collection {
		if i == len(list) {
			i, shift = 0, shift+list[i-1].Mono-list[0].Mono+1000
		}
		c = list[i]
		c.Time, c.Mono = c.Time+shift, c.Mono+shift
		i++
		return &c
	}
}

func TestDecodeAllocates(t *testing.T) {
	list := hosts(t, 1000, 2)
	log := &memoryLog{}
	e := newEncoder(log, 256<<20, nil)
	appendAll(t, e, &list[0], &list[1])
	d := newDecoder()
	for _, f := range log.frames[:len(log.frames)-1] {
		if c, err := d.decode(f); err != nil {
			t.Fatal(err)
		} else if c != nil {
			d.release(c)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		c, err := d.decode(log.frames[len(log.frames)-1])
		if err != nil {
			t.Fatal(err)
		}
		d.release(c)
	}); n > 0 {
		t.Errorf("decode allocates %v times, want 0", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, series := range []int{300, 3000} {
		b.Run(fmt.Sprint(series), func(b *testing.B) {
			list := hosts(b, series, 240)
			log := &memoryLog{discard: true}
			e, next := newEncoder(log, 256<<20, nil), again(list)
			samples := 0
			b.ReportAllocs()
			for b.Loop() {
				c := next()
				if err := e.append(c); err != nil {
					b.Fatal(err)
				}
				samples += len(c.Samples)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
			b.ReportMetric(float64(log.bytes)/float64(samples), "B/sample")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, series := range []int{300, 3000} {
		b.Run(fmt.Sprint(series), func(b *testing.B) {
			list := hosts(b, series, 240)
			log := &memoryLog{}
			e := newEncoder(log, 256<<20, nil)
			for i := range list {
				if err := e.append(&list[i]); err != nil {
					b.Fatal(err)
				}
			}
			d, samples := newDecoder(), 0
			b.ReportAllocs()
			for b.Loop() {
				for _, f := range log.frames {
					c, err := d.decode(f)
					if err != nil {
						b.Fatal(err)
					}
					if c != nil {
						samples += c.count
						d.release(c)
					}
				}
			}
			b.ReportMetric(float64(samples)/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

// Reading back a full segment is what a start costs.
func BenchmarkRestore(b *testing.B) {
	dir := b.TempDir()
	list := hosts(b, 3000, 1200)
	log := openLog(b, dir)
	defer log.Close()
	e := newEncoder(log, 64<<20, nil)
	for i := range list {
		if err := e.append(&list[i]); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if l := restore(log); len(l) != 1 || l[0].present.count() != len(list[0].Samples) {
			b.Fatalf("restored %d sources", len(l))
		}
	}
}

var _ appender = (*wal.Log)(nil)
