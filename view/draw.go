package view

import "strings"

// A frame is drawn by functions that know nothing of terminals: a snapshot and
// a size become lines, lines become one write.
//
//	title, delivery                 at most a quarter of the height
//	CPU, memory ┐
//	disks       ├ blocks            below each other, in two columns when the
//	interfaces  │                   screen is wide; each gets what it needs
//	filesystems ┘                   first, in this order, then rows in turn
//	legend                          when there is room
const (
	twoColumns = 100 // the narrowest screen with two columns of blocks
	legendFrom = 20  // the lowest screen with a legend
)

// block is a part of the screen that can be cut after any row.
type block struct {
	rows []line
	need int // rows without which it is no use
}

// draw returns a frame: height lines of at most width columns.
func draw(s snapshot, width, height int) []line {
	if width <= 0 || height <= 0 {
		return nil
	}
	top := append([]line{title(s, width)}, deliveryLines(s, width)...)
	frame := top[:min(len(top), max(2, height/4))]
	room := height - len(frame)
	if height >= legendFrom {
		frame = append(frame, nil)
		room -= 3
	}
	frame = append(frame, body(s, width, room)...)
	if height >= legendFrom {
		frame = append(frame, nil, legend())
	}
	frame = frame[:min(len(frame), height)]
	for i := range frame {
		frame[i] = frame[i].fit(width)
	}
	return frame
}

// body is the host, exactly height lines.
func body(s snapshot, width, height int) []line {
	if width < twoColumns {
		return stack([]block{cpuBlock(s.cpus, width), memoryBlock(s, width), diskBlock(s.disks, width),
			interfaceBlock(s.interfaces, width), filesystemBlock(s.filesystems, width)}, height)
	}
	const gap = 3
	w := (width - gap) / 2
	left := stack([]block{cpuBlock(s.cpus, w), memoryBlock(s, w), filesystemBlock(s.filesystems, w)}, height)
	rest := width - gap - w
	right := stack([]block{diskBlock(s.disks, rest), interfaceBlock(s.interfaces, rest)}, height)
	for i := range left {
		left[i] = append(left[i].fit(w+gap), right[i]...)
	}
	return left
}

// stack puts blocks below each other in exactly height lines, with blank ones
// between them when there is room.
func stack(blocks []block, height int) []line {
	height = max(height, 0)
	rows, shown, used := share(blocks, height), 0, 0
	for _, n := range rows {
		used += n
		if n > 0 {
			shown++
		}
	}
	blank := used+shown-1 <= height
	all := make([]line, 0, height)
	for i, b := range blocks {
		if rows[i] > 0 && blank && len(all) > 0 {
			all = append(all, nil)
		}
		all = append(all, b.rows[:rows[i]]...)
	}
	return append(all, make([]line, height-len(all))...)
}

// share divides height among blocks: first what each needs, then a row each
// in turn.
func share(blocks []block, height int) []int {
	rows := make([]int, len(blocks))
	for i, b := range blocks {
		if b.need <= height && len(b.rows) > 0 {
			rows[i] = b.need
			height -= b.need
		}
	}
	for more := true; more; {
		more = false
		for i, b := range blocks {
			if height > 0 && rows[i] > 0 && rows[i] < len(b.rows) {
				rows[i]++
				height--
				more = true
			}
		}
	}
	return rows
}

// frameText is what makes a terminal show a frame in place of the last one. A
// line is followed by "erase to the right" only where it ends before the
// edge: at the edge that would erase its last character.
func frameText(frame []line, width int, colour bool) string {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, l := range frame {
		if i > 0 {
			b.WriteString("\r\n")
		}
		for _, s := range l {
			if colour && s.style != usual && s.text != "" {
				b.WriteString("\x1b[" + sgr[s.style] + "m" + s.text + "\x1b[0m")
			} else {
				b.WriteString(s.text)
			}
		}
		if l.width() < width {
			b.WriteString("\x1b[K")
		}
	}
	return b.String()
}
