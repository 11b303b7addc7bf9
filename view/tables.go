package view

import "fmt"

// Widths of a table's columns.
const (
	numberColumn = 10
	shortName    = 8  // the least for names
	longName     = 16 // names that are longer may be cut before a number is left out
)

// table is a block with a head. What does not fit is left out from the right,
// all but two columns of numbers; then names are cut.
func table(width int, head []string, rows [][]string) block {
	if len(rows) == 0 {
		return block{}
	}
	longest := shortName
	for _, row := range rows {
		longest = max(longest, min(columns(row[0]), longName))
	}
	numbers := max((width-longest)/numberColumn, min(2, (width-shortName)/numberColumn), 0)
	numbers = min(numbers, len(head)-1)
	name := width - numbers*numberColumn
	b := block{need: 2}
	for i, row := range append([][]string{head}, rows...) {
		style := usual
		if i == 0 {
			style = cyan
		}
		l := line{{shorten(row[0], name), style}}.fit(name)
		for _, cell := range row[1 : 1+numbers] {
			l = append(l, span{fmt.Sprintf("%*s", numberColumn, cell), style})
		}
		b.rows = append(b.rows, l)
	}
	return b
}

func diskBlock(disks []diskUse, width int) block {
	var rows [][]string
	for _, d := range disks {
		rows = append(rows, []string{clean(d.name), size(d.read), size(d.written), percentage(d.busy), number(d.requests, 0)})
	}
	return table(width, []string{"disk", "read/s", "written/s", "busy", "ops/s"}, rows)
}

func interfaceBlock(interfaces []interfaceUse, width int) block {
	var rows [][]string
	for _, n := range interfaces {
		rows = append(rows, []string{clean(n.name), size(n.received), size(n.sent), number(n.packets, 0), number(n.failures, 0)})
	}
	return table(width, []string{"network", "in/s", "out/s", "packets/s", "lost/s"}, rows)
}

// filesystemBlock has a bar for each file system, or why there is none.
func filesystemBlock(all []filesystemUse, width int) block {
	if len(all) == 0 {
		return block{}
	}
	b := block{[]line{text(cyan, "filesystem")}, 2}
	name := min(max(10, width/3), 30)
	for _, f := range all {
		l := text(usual, "%s", shorten(clean(f.mountpoint), name)).fit(name + 1)
		b.rows = append(b.rows, append(l, filesystemBar(f, width-name-1)...))
	}
	return b
}

func filesystemBar(f filesystemUse, width int) line {
	if f.problem != "" {
		return text(red, "%s", clean(f.problem))
	}
	marks := []mark{{"|", green}}
	switch used := f.used(); {
	case used >= 0.9:
		marks[0].style = red
	case used >= 0.75:
		marks[0].style = yellow
	}
	caption := percentage(f.used()) + " of " + size(f.size)
	if f.readOnly {
		caption = "ro " + caption
	}
	return bar(width, []float64{f.used()}, marks, text(bold, "%*s", captionColumn, caption))
}
