package view

import (
	"math"
	"strings"
)

// late is the age in seconds at which the newest sample is one that should
// not be: three rounds were missed.
const late = 3

// title is the first line: which host, how busy, since when.
func title(s snapshot, width int) line {
	var host, load, up line
	if s.host != "" {
		host = text(usual, "%s", shorten(clean(s.host), 40))
	}
	if known(s.load[0]) {
		load = text(usual, "load %s %s %s", number(s.load[0], 2), number(s.load[1], 2), number(s.load[2], 2))
	}
	if known(s.uptime) {
		up = text(usual, "up about %s", duration(s.uptime))
	}
	return parts(width, text(bold, "nodepush demo"), host, load, up, text(dim, "q or Ctrl-C ends"))
}

// deliveryLines are the lines below the title, the most important first.
func deliveryLines(s snapshot, width int) []line {
	d := s.delivery
	if d.rounds == 0 {
		return []line{text(usual, "waiting for the first samples")}
	}
	lines := []line{
		parts(width, heading("delivery"), ageLine(d.age), text(usual, "%s samples/s", number(d.perSecond, 0)),
			text(usual, "%s B/sample on the wire", number(d.wire, 2))),
		parts(width, heading("receiver"), requestsLine(d), text(usual, "%s", d.protocol), answersLine(d.answers), text(usual, "%s", d.address)),
	}
	if d.refusal != "" {
		lines = append(lines, parts(width, heading("refusal"), text(red, "%s", clean(d.refusal)).atMost(width-10)))
	}
	if s.message != "" {
		lines = append(lines, parts(width, heading("message"), text(yellow, "%s", clean(s.message)).atMost(width-10)))
	}
	return append(lines,
		parts(width, heading("agent"), text(usual, "CPU %s%%", number(100*s.agent.cpu, 1)), text(usual, "RSS %s", size(s.agent.memory)),
			text(dim, "receiver and view included")),
		parts(width, heading("stored"), text(usual, "%s samples", thousands(d.samples)), text(usual, "%d series", d.series),
			text(usual, "%s rounds", thousands(d.rounds))),
		parts(width, heading("log"), text(usual, "%s on disk", size(float64(d.log))),
			text(dim, "size of its directory; all else is what the receiver stored")))
}

// heading begins a line of the delivery.
func heading(name string) line { return text(cyan, "%-8s", name) }

func ageLine(age float64) line {
	l := text(usual, "newest %ss old", number(age, 1))
	if age >= 60 {
		l = text(usual, "newest %s old", duration(age))
	}
	if age >= late {
		l[0].style = red
	}
	return l
}

func requestsLine(d delivery) line {
	l := append(text(usual, "%s requests, ", thousands(d.requests)), text(usual, "%d refused", d.refused)...)
	if d.refused > 0 {
		l[1].style = red
	}
	return l
}

// answersLine shows the newest runs of answers, oldest first.
func answersLine(all []answer) line {
	if len(all) == 0 {
		return nil
	}
	l := text(usual, "last answers")
	for _, a := range all[max(0, len(all)-4):] {
		style := green
		if !strings.HasPrefix(a.code, "2") {
			style = red
		}
		l = append(l, span{" ", usual}, span{clean(a.String()), style})
	}
	return l
}

// mark is how a part of a bar looks. The characters differ, so that they can be
// told apart without colours.
type mark struct {
	char  string
	style style
}

// cpuMarks are those of cpuModes; interrupts of both kinds look the same.
var cpuMarks = []mark{{"|", green}, {"+", blue}, {"#", red}, {"!", yellow}, {"!", yellow}, {"-", cyan}, {".", magenta}}

// captionColumn is the width of what stands beside a bar of memory or of a
// file system.
const captionColumn = len("999 MiB of 999 GiB")

var memoryMarks = []mark{{"|", green}, {".", yellow}}

// legend explains the marks.
func legend() line {
	l := text(dim, "CPU")
	for i, name := range []string{"user", "nice", "system", "", "irq", "steal", "iowait"} {
		if name != "" {
			l = append(l, span{" " + cpuMarks[i].char, cpuMarks[i].style}, span{" " + name, dim})
		}
	}
	return append(l, span{"  memory", dim}, span{" |", green}, span{" used", dim}, span{" .", yellow}, span{" cache", dim})
}

// bar is a bar of width columns, the caption at its right end included; parts
// of the whole have the marks of the same index.
func bar(width int, shares []float64, marks []mark, caption line) line {
	inner := max(0, width-caption.width()-3)
	l, end, filled := text(bold, "["), 0.0, 0
	for i, p := range shares {
		if p > 0 {
			end += p
		}
		to := int(math.Round(min(end, 1) * float64(inner)))
		l = append(l, span{strings.Repeat(marks[i].char, to-filled), marks[i].style})
		filled = to
	}
	l = append(l, span{strings.Repeat(" ", inner-filled), usual}, span{"] ", bold})
	return append(l, caption...)
}

// cpuBlock is a bar for all CPUs, then one each, side by side.
func cpuBlock(cpus []cpuUse, width int) block {
	if len(cpus) == 0 {
		return block{}
	}
	b := block{[]line{append(text(cyan, "cpu  "), cpuBar(allCPUs(cpus), width-5)...)}, 1}
	if len(cpus) == 1 {
		return b
	}
	const narrow = 22
	across := min(len(cpus), max(1, width/narrow))
	for cpus := cpus; len(cpus) > 0; cpus = cpus[min(across, len(cpus)):] {
		var row line
		for i, c := range cpus[:min(across, len(cpus))] {
			from, to := width*i/across, width*(i+1)/across
			name := text(cyan, "%4s ", shorten(clean(c.name), 4))
			row = append(row, append(name, cpuBar(c, to-from-5)...)...)
		}
		b.rows = append(b.rows, row)
	}
	return b
}

func cpuBar(c cpuUse, width int) line {
	if c.parts == nil {
		return bar(width, nil, nil, text(dim, "%6s", "-"))
	}
	busy := 0.0
	for i, p := range c.parts {
		if cpuModes[i] != "iowait" { // idle, with a disk to blame
			busy += p
		}
	}
	return bar(width, c.parts, cpuMarks, text(bold, "%5s%%", number(100*busy, 1)))
}

// memoryBlock has a bar for memory and one for swap.
func memoryBlock(s snapshot, width int) block {
	if !known(s.memory.total) {
		return block{}
	}
	return block{[]line{append(text(cyan, "mem  "), memoryBar(s.memory, width-5)...), append(text(cyan, "swap "), memoryBar(s.swap, width-5)...)}, 1}
}

func memoryBar(m memoryUse, width int) line {
	if m.total == 0 {
		return bar(width, nil, nil, text(dim, "%*s", captionColumn, "none"))
	}
	used := m.total - m.available
	return bar(width, []float64{used / m.total, (m.available - m.free) / m.total}, memoryMarks,
		text(bold, "%*s", captionColumn, size(used)+" of "+size(m.total)))
}
