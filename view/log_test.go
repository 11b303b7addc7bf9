package view

import (
	"fmt"
	"strings"
	"testing"
)

func TestHeldLog(t *testing.T) {
	var out strings.Builder
	h := NewHeldLog(&out)
	fmt.Fprintln(h, "before")
	h.hold()
	for i := range maxHeld + 5 {
		fmt.Fprintln(h, "message", i)
	}
	if out.String() != "before\n" || h.newest() != fmt.Sprint("message ", maxHeld+4) {
		t.Errorf("wrote %q, newest %q", out.String(), h.newest())
	}
	h.release()
	fmt.Fprintln(h, "after")
	lines := strings.Split(out.String(), "\n")
	if len(lines) != maxHeld+4 || lines[1] != "(5 older messages left out)" || lines[2] != "message 5" || lines[maxHeld+2] != "after" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}
