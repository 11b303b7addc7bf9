package writer

import (
	"testing"
	"time"

	"nodepush/writer/wal"
)

func TestCut(t *testing.T) {
	type c struct {
		count   int
		segment uint64
		minute  int64
	}
	limits := limits{live: 50, catchUp: 100, parts: 100}
	tests := []struct {
		name    string
		fixed   wal.Range
		pending []c
		want    int
	}{
		{"nothing", wal.Range{}, nil, 0},
		{"all", wal.Range{}, []c{{30, 1, 0}, {30, 1, 1}, {40, 1, 2}}, 3},
		{"too many samples", wal.Range{}, []c{{30, 1, 0}, {30, 1, 1}, {41, 1, 2}}, 2},
		{"one that is too large by itself", wal.Range{}, []c{{500, 1, 0}, {1, 1, 1}}, 1},
		{"the end of a segment", wal.Range{}, []c{{1, 1, 0}, {1, 1, 0}, {1, 7, 1}}, 2},
		{"after a night without power", wal.Range{}, []c{{1, 1, 0}, {1, 1, 1}, {1, 1, 12}}, 2},
		{"the clock was set back", wal.Range{}, []c{{1, 1, 60}, {1, 1, 1}}, 1},
		{"a collection that only ends series", wal.Range{}, []c{{100, 1, 0}, {0, 1, 0}}, 2},
		{"the range in flight, whatever the limits", wal.Range{From: 10, To: 13}, []c{{90, 1, 0}, {90, 1, 50}, {90, 2, 99}, {1, 2, 99}}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &feed{fixed: tt.fixed}
			for i, p := range tt.pending {
				d := &decoded{seq: 10 + uint64(i), count: p.count, time: p.minute * 60_000}
				f.pending = append(f.pending, item{decoded: d, segment: p.segment})
			}
			if got := f.cut(limits); got != tt.want {
				t.Errorf("cut = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		perSend, most int
		want          limits
	}{
		{0, 0, limits{10_000, 20_000, 20_000}},
		{500, 0, limits{500, 500, 500}},
		{0, 15_000, limits{10_000, 15_000, 15_000}},
		{500, 100, limits{100, 100, 100}},
		{500, 1000, limits{500, 500, 500}},
	}
	for _, tt := range tests {
		if got := newLimits(tt.perSend).capped(tt.most); got != tt.want {
			t.Errorf("limits of %d, capped at %d = %v, want %v", tt.perSend, tt.most, got, tt.want)
		}
	}
}

func TestLead(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	c := clock{now: func() time.Time { return now }, mono: func() int64 { return 100_000 }, boot: [16]byte{1}}
	tests := []struct {
		name  string
		ahead time.Duration
		mono  int64
		boot  byte
		wait  time.Duration
		time  time.Duration // against now, afterwards
		ok    bool
	}{
		{"past", -time.Hour, 0, 1, 0, -time.Hour, true},
		{"a second", time.Second, 0, 1, 0, time.Second, true},
		{"a minute", time.Minute, 0, 1, 59 * time.Second, time.Minute, true},
		{"a minute, of another boot", time.Minute, 0, 2, 59 * time.Second, time.Minute, true},
		{"ten minutes", 10 * time.Minute, 40_000, 1, 0, -time.Minute, true},
		{"years", 30 * 365 * 24 * time.Hour, 99_000, 1, 0, -time.Second, true},
		{"years, from a broken monotonic clock", 30 * 365 * 24 * time.Hour, 1 << 60, 1, 0, 0, true},
		{"years, of another boot", 30 * 365 * 24 * time.Hour, 99_000, 2, 0, 30 * 365 * 24 * time.Hour, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &decoded{time: now.Add(tt.ahead).UnixMilli(), mono: tt.mono, dict: &dictionary{bootID: [16]byte{tt.boot}}}
			wait, ok := c.lead(d)
			if wait != tt.wait || ok != tt.ok || d.time != now.Add(tt.time).UnixMilli() {
				t.Errorf("lead = %v, %v with time %v, want %v, %v, %v", wait, ok, time.UnixMilli(d.time).Sub(now), tt.wait, tt.ok, tt.time)
			}
		})
	}
}

func TestSystemClock(t *testing.T) {
	first := systemClock(testBoot)
	if first.boot != testBoot || first.mono() <= 0 {
		t.Errorf("systemClock = boot %x, mono %d", first.boot, first.mono())
	}
}
