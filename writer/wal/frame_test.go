package wal

import (
	"encoding/hex"
	"testing"
	"time"
)

// The bytes of docs/wal.md. A change here is a change of the format.
func TestFormat(t *testing.T) {
	cursor := encodeSlot(slot{generation: 5, name: "mimir", state: State{
		Acked: []Range{{0, 7}}, InFlight: Range{7, 9}, Protocol: "v2", BootID: [16]byte{0xbb}, Clean: true}})
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"segment header": {appendHeader(nil, 42, 1700000000000),
			"6e6f646570757368" + "0100" + "0000" + "2a00000000000000" + "0068e5cf8b010000" + "9b8c488f"},
		"frame":  {appendFrame(nil, Data, 43, []byte("hello")), "05000000" + "e032c70c" + "03" + "2b00000000000000" + "68656c6c6f"},
		"cursor": {cursor[:82], "6e70637572736f72" + "0100" + "0100" + "0500000000000000" + "bb000000000000000000000000000000" + "07000000000000000900000000000000" + "01" + "00000000000000000700000000000000" + "056d696d6972" + "027632" + "6d9de3d5"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	if got := cursorName("mimir"); got != "46b05499459ee360.cursor" {
		t.Errorf("cursor of mimir is %s", got)
	}
}

func TestPlausible(t *testing.T) {
	head := appendFrame(nil, Data, 10, nil)
	long := appendFrame(nil, Data, 10, nil)
	long[3] = 2 // 32 MiB
	kind := appendFrame(nil, 4, 10, nil)
	for name, c := range map[string]struct {
		head   []byte
		left   int64
		lo, hi uint64
		want   bool
	}{
		"fits":              {head, 17, 10, 10, true},
		"cut":               {head[:16], 17, 10, 10, false},
		"longer than left":  {head, 16, 10, 10, false},
		"number too low":    {head, 17, 11, 12, false},
		"number too high":   {head, 17, 8, 9, false},
		"longer than 16MiB": {long, 1 << 40, 10, 10, false},
		"unknown kind":      {kind, 17, 10, 10, false},
	} {
		if _, ok := plausible(c.head, c.left, c.lo, c.hi); ok != c.want {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

func TestParseName(t *testing.T) {
	for name, want := range map[string]uint64{
		"00000000000000000042.wal": 42, segmentName(1 << 61): 1 << 61, "42.wal": 0, "00000000000000000000.wal": 0,
		"00000000000000000042.wal.tmp": 0, "18446744073709551615.wal": 0, "-0000000000000000042.wal": 0, "": 0, ".wal": 0,
	} {
		if got, ok := parseName(name); ok != (want > 0) || ok && got != want {
			t.Errorf("parseName(%q) = %d, %v, want %d", name, got, ok, want)
		}
	}
}

// A clock that is or was wrong makes no file old.
func TestAge(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now, modified time.Time
		want          time.Duration
	}{
		"an hour":                   {now, now.Add(-time.Hour), time.Hour},
		"written in the future":     {now, now.Add(time.Hour), 0},
		"written at the epoch":      {now, time.Unix(1000, 0), 0},
		"read while at the epoch":   {time.Unix(1000, 0), now, 0},
		"both before the clock set": {time.Unix(2000, 0), time.Unix(1000, 0), 0},
	} {
		if got := age(c.now, c.modified); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
