package wal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A log can be looked at while it is written, and nothing changes by that.
func TestView(t *testing.T) {
	dir := t.TempDir()
	all := sample(t, dir)
	l := mustOpen(t, dir, options())
	mustCursor(t, l, "mimir").Save(State{Acked: []Range{{0, 7}}})
	writeAll(t, filepath.Join(dir, "0123456789abcdef.cursor"), []byte("rubbish"))
	before, _ := osFS{}.List(dir)
	v, err := View(dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := read(v, 0); !slices.Equal(got, all) {
		t.Errorf("view of %v", seqs(got))
	}
	states, err := v.States()
	if err == nil || len(states) != 1 || !slices.Equal(states["mimir"].Acked, []Range{{0, 7}}) {
		t.Errorf("states %+v, %v", states, err)
	}
	mustClose(t, v)
	if after, _ := (osFS{}).List(dir); !slices.Equal(before, after) {
		t.Errorf("the view changed %v to %v", before, after)
	}
	missing := filepath.Join(dir, "missing")
	if _, err := View(missing, quiet()); err == nil {
		t.Error("a missing directory can be viewed")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the view made a directory")
	}
}
