package collector

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseUint(t *testing.T) {
	tests := []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"0", 0, true}, {"007", 7, true}, {"18446744073709551615", math.MaxUint64, true},
		{"18446744073709551616", 0, false}, {"99999999999999999999", 0, false},
		{"", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1 ", 0, false}, {"0x1", 0, false}, {"1\x00", 0, false},
	}
	for _, tt := range tests {
		if got, ok := parseUint([]byte(tt.in)); ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseUint(%q) = %d, %v, want %d, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParseDecimal(t *testing.T) {
	tests := []struct {
		in   string
		want float64
		ok   bool
	}{
		{"0.20", 0.2, true}, {"12", 12, true}, {".5", 0.5, true},
		{"", 0, false}, {".", 0, false}, {"1.2.3", 0, false}, {"nan", 0, false}, {"inf", 0, false}, {"1e3", 0, false}, {"-1", 0, false}, {"0x1p3", 0, false},
	}
	for _, tt := range tests {
		if got, ok := parseDecimal([]byte(tt.in)); ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseDecimal(%q) = %v, %v, want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParseSpans(t *testing.T) {
	tests := []struct {
		in   string
		want []span
		ok   bool
	}{
		{"\n", nil, true}, {"0\n", []span{{0, 0}}, true}, {"0-3,8,10-11\n", []span{{0, 3}, {8, 8}, {10, 11}}, true},
		{"1,1", nil, false}, {"0-3,2", nil, false}, {"3-1", nil, false}, {"1,,2", nil, false}, {"a", nil, false}, {"1-", nil, false}, {"-1", nil, false}, {"0-99999", nil, false},
	}
	for _, tt := range tests {
		got, err := parseSpans(nil, []byte(tt.in))
		if (err == nil) != tt.ok || tt.ok && !slices.Equal(got, tt.want) {
			t.Errorf("parseSpans(%q) = %v, %v, want %v, %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzParseSpans(f *testing.F) {
	f.Add([]byte("0-3,8\n"))
	f.Add([]byte("1,1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spans, _ := parseSpans(nil, text)
		next := 0
		for _, s := range spans {
			if s.first < next || s.last < s.first || s.last >= maxSpan {
				t.Fatalf("parseSpans(%q) = %v: not ascending", text, spans)
			}
			next = s.last + 1
		}
	})
}

func TestCutField(t *testing.T) {
	tests := []struct{ in, field, rest string }{
		{"", "", ""}, {"  ", "", ""}, {"a", "a", ""}, {" \ta  b", "a", "  b"},
	}
	for _, tt := range tests {
		if field, rest := cutField([]byte(tt.in)); string(field) != tt.field || string(rest) != tt.rest {
			t.Errorf("cutField(%q) = %q, %q, want %q, %q", tt.in, field, rest, tt.field, tt.rest)
		}
	}
}

func TestMalformedShowsTheStartOfALongLine(t *testing.T) {
	err := malformed(fileAt("/proc/stat"), 7, []byte(strings.Repeat("x", 500)), "less")
	if text := err.Error(); len(text) > 150 || !strings.HasPrefix(text, `/proc/stat:7: "xxx`) || !strings.HasSuffix(text, `...: want less`) {
		t.Errorf("got %q", text)
	}
}
