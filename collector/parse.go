package collector

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// lines walks through the lines of a file and gathers what is wrong with them.
type lines struct {
	file file
	rest []byte // not walked yet
	text []byte // the current line without its newline
	n    int    // its number, from 1
	bad  int
	err  error // what is wrong with the first bad line
}

var newline = []byte{'\n'}

// next goes to the next line. A last line without a newline was cut off by
// somebody (the kernel always writes one), and half a number is a wrong number.
func (l *lines) next() bool {
	if len(l.rest) == 0 {
		return false
	}
	var whole bool
	l.n++
	l.text, l.rest, whole = bytes.Cut(l.rest, newline)
	if !whole {
		l.reject("a whole line; it is cut off")
	}
	return whole
}

// reject notes that the current line is not what it should be.
func (l *lines) reject(want string) {
	if l.bad++; l.err == nil {
		l.err = malformed(l.file, l.n, l.text, want)
	}
}

// end returns what was wrong with the file: errors of the first bad line only,
// so that a large file of garbage does not make a large error.
func (l *lines) end() error {
	switch {
	case l.n == 0:
		return fmt.Errorf("%s: empty", l.file)
	case l.bad > 1:
		return fmt.Errorf("%w (and %d more bad lines)", l.err, l.bad-1)
	}
	return l.err
}

// malformed says what line n of f should have been. n is 0 for a file of one value.
func malformed(f file, n int, text []byte, want string) error {
	const most = 80
	at := f.String()
	if n > 0 {
		at += ":" + strconv.Itoa(n)
	}
	dots := ""
	if len(text) > most {
		text, dots = text[:most], "..."
	}
	return fmt.Errorf("%s: %q%s: want %s", at, text, dots, want)
}

// cutField returns the first field of text, "" if there is none, and what
// follows it. Fields are separated by spaces and tabs.
func cutField(text []byte) (field, rest []byte) {
	start := 0
	for start < len(text) && isSpace(text[start]) {
		start++
	}
	end := start
	for end < len(text) && !isSpace(text[end]) {
		end++
	}
	return text[start:end], text[end:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// cutUint cuts a decimal number off text, as cutField does.
func cutUint(text []byte) (v uint64, rest []byte, ok bool) {
	field, rest := cutField(text)
	v, ok = parseUint(field)
	return v, rest, ok
}

// parseUint reads a decimal number that fills text and fits 64 bits.
func parseUint(text []byte) (v uint64, ok bool) {
	for _, c := range text {
		digit := uint64(c - '0')
		if digit > 9 || v > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		v = v*10 + digit
	}
	return v, len(text) > 0
}

// parseDecimal reads a number of digits with at most one point, such as a load.
func parseDecimal(text []byte) (float64, bool) {
	for _, c := range text {
		if c != '.' && (c < '0' || c > '9') {
			return 0, false // ParseFloat would take nan, inf, 1e9, 0x1p3 and 1_0
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// readUint reads the file of a single number, with or without a newline.
func (r *reader) readUint(f file) (uint64, error) {
	text, err := r.read(f)
	if err != nil {
		return 0, err
	}
	v, ok := parseUint(bytes.TrimSpace(text))
	if !ok {
		return 0, malformed(f, 0, text, "a number")
	}
	return v, nil
}

// span is a range of numbers, both ends included.
type span struct{ first, last int }

// maxSpan bounds the numbers in a list of CPUs. No kernel has more than 8192.
const maxSpan = 1 << 16

var errSpans = errors.New("want ascending numbers and ranges such as 0-3,8")

// parseSpans appends the ranges of a list such as "0-3,8" to dst.
// https://docs.kernel.org/core-api/kernel-api.html#c.bitmap_parselist
func parseSpans(dst []span, text []byte) ([]span, error) {
	next := 0
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		var item []byte
		item, rest, _ = bytes.Cut(rest, []byte{','})
		low, high, isRange := bytes.Cut(item, []byte{'-'})
		if !isRange {
			high = low
		}
		first, ok1 := parseUint(low)
		last, ok2 := parseUint(high)
		if !ok1 || !ok2 || last >= maxSpan || first > last || int(first) < next {
			return dst, errSpans
		}
		dst = append(dst, span{int(first), int(last)})
		next = int(last) + 1
	}
	return dst, nil
}
