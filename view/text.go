package view

import (
	"fmt"
	"math"
	"strings"
	"unicode"
)

// style is how a piece of text looks. The eight colours of every terminal are
// enough, and follow its theme.
type style uint8

const (
	usual style = iota
	bold
	dim
	red
	green
	yellow
	blue
	magenta
	cyan
)

// sgr are the parameters of "select graphic rendition" for each style.
var sgr = [...]string{bold: "1", dim: "2", red: "31", green: "32", yellow: "33", blue: "34", magenta: "35", cyan: "36"}

// span is a piece of text in one style, line a row of the screen. Texts are
// clean: what came from outside has gone through clean.
type span struct {
	text  string
	style style
}

type line []span

func (l line) width() (n int) {
	for _, s := range l {
		n += columns(s.text)
	}
	return n
}

// fit cuts or fills l to exactly width columns.
func (l line) fit(width int) line {
	var fitted line
	left := max(width, 0)
	for _, s := range l {
		s.text = cut(s.text, left)
		left -= columns(s.text)
		fitted = append(fitted, s)
	}
	return append(fitted, span{strings.Repeat(" ", left), usual})
}

// atMost cuts l to width columns.
func (l line) atMost(width int) line {
	if l.width() <= width {
		return l
	}
	return l.fit(width)
}

// String is the line without styles and without blanks at its end.
func (l line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// parts joins parts with two blanks between them and leaves out those that do
// not fit any more; the first is always there.
func parts(width int, first line, rest ...line) line {
	joined := first
	for _, p := range rest {
		if p.width() > 0 && joined.width()+2+p.width() <= width {
			joined = append(append(joined, span{"  ", usual}), p...)
		}
	}
	return joined
}

// text is a line of one span.
func text(s style, format string, args ...any) line {
	return line{{fmt.Sprintf(format, args...), s}}
}

// clean makes text from outside harmless to a terminal: whatever moves the
// cursor, changes modes or the direction of writing, or has no width of its
// own becomes a question mark.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && !unicode.Is(unicode.M, r) {
			return r
		}
		return '?'
	}, s)
}

// wide are the characters that take two columns: the blocks that are wide or
// fullwidth as a whole in https://www.unicode.org/reports/tr11/.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0xa4cf, 1}, {0xa960, 0xa97f, 1}, {0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1}},
	R32: []unicode.Range32{{0x16fe0, 0x18aff, 1}, {0x1b000, 0x1b2ff, 1}, {0x1f300, 0x1faff, 1}, {0x20000, 0x3fffd, 1}},
}

// columns is the width of clean text on a terminal.
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if unicode.Is(wide, r) {
		return 2
	}
	return 1
}

// cut returns the beginning of s that fits into width columns.
func cut(s string, width int) string {
	for i, r := range s {
		if width -= runeColumns(r); width < 0 {
			return s[:i]
		}
	}
	return s
}

// shorten cuts s to width columns and shows that it did.
func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	return cut(cut(s, width-1)+"~", width)
}

// known says that v is a number to show; what is missing is NaN.
func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// number writes v with so many digits after the point.
func number(v float64, digits int) string {
	if !known(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// percentage writes a part of 1 in whole percent.
func percentage(part float64) string {
	if !known(part) {
		return "-"
	}
	return number(100*part, 0) + "%"
}

// size writes a number of bytes.
func size(v float64) string {
	if !known(v) {
		return "-"
	}
	unit := 0
	for ; math.Abs(v) >= 999.5 && unit < len(units)-1; unit++ {
		v /= 1024
	}
	digits := 0
	if unit > 0 && math.Abs(v) < 9.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, v, units[unit])
}

var units = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// duration writes seconds in their two largest units.
func duration(seconds float64) string {
	if !known(seconds) || seconds < 0 || seconds > math.MaxInt32 {
		return "-"
	}
	s := int(seconds)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// thousands writes n in groups of three digits.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
