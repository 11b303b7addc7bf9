package view

import (
	"math"
	"testing"
)

func TestTextOfNumbers(t *testing.T) {
	for got, want := range map[string]string{
		size(0): "0 B", size(999): "999 B", size(1000): "1.0 KiB", size(10 << 10): "10 KiB", size(1 << 62): "4.0 EiB", size(math.Inf(1)): "-",
		size(math.NaN()): "-", number(math.NaN(), 1): "-", number(1.25, 1): "1.2", duration(59.9): "59s", duration(3599): "59m59s", duration(7260): "2h01m",
		duration(90000): "1d01h", duration(math.NaN()): "-", duration(-1): "-", thousands(0): "0", thousands(999): "999", thousands(1000): "1,000", thousands(1234567): "1,234,567",
		clean("a\x1b[2Jb\u0301\u202e\xff"): "a?[2Jb??\ufffd", shorten("abcdef", 4): "abc~", shorten("日本語", 4): "日~", shorten("ab", 2): "ab", shorten("ab", 0): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
