package collector

import "testing"

func TestRoster(t *testing.T) {
	made := 0
	r := roster[int]{make: func(string) int { made++; return made }}
	round := func(names ...string) {
		t.Helper()
		r.begin()
		for _, name := range names {
			if _, again := r.meet([]byte(name)); again {
				t.Errorf("%s was met twice", name)
			}
		}
		r.end()
	}
	round("a", "b")
	round("b", "a")
	if made != 2 || r.changes != 2 {
		t.Errorf("after the same names: made %d, changes %d", made, r.changes)
	}
	round("b", "c")
	if len(r.members) != 2 || r.members["a"] != nil || r.changes != 4 {
		t.Errorf("a was not forgotten: %v, changes %d", r.members, r.changes)
	}
	r.begin()
	r.meet([]byte("c"))
	if m, again := r.meet([]byte("c")); !again || m.kept != 3 {
		t.Errorf("meet c twice: %v, %v", m, again)
	}
	if m, _ := r.meet([]byte("\xff")); m.name != "\uFFFD" {
		t.Errorf("label %q", m.name)
	}
}

func TestRosterAllocatesNothing(t *testing.T) {
	var r roster[struct{}]
	names := [][]byte{[]byte("eth0"), []byte("lo"), []byte("a device with a name longer than 32 bytes")}
	round := func() {
		r.begin()
		for _, name := range names {
			r.meet(name)
		}
		r.end()
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
