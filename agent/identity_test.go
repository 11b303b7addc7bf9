package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nodepush/collector"
	"nodepush/metric"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadHost(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n")
	write(t, root+"/proc/stat", "cpu  1 2 3\nctxt 5\nbtime 1700000000\nprocesses 9\n")
	write(t, root+"/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	j := new(journal)
	h := readHost(collector.Paths{Procfs: root + "/proc", Rootfs: root}, slog.New(slog.NewTextHandler(j, nil)))
	name, _ := os.Hostname()
	if h.name != name || h.machineID != "0123456789abcdef0123456789abcdef" || h.boot != 1700000000_000 ||
		fmt.Sprintf("%x", h.bootID) != "0123456789abcdef0123456789abcdef" || j.String() != "" {
		t.Errorf("host %+v, log %s", h, j)
	}
}

// What is missing or damaged is told and left out; nothing fails.
func TestReadHostWithoutAnything(t *testing.T) {
	for name, files := range map[string][2]string{
		"empty": {"", ""}, "short": {"0123-45", "btime\n"}, "no hex": {strings.Repeat("z", 36), "btime x\n"},
		"long": {strings.Repeat("a", 40), "btime 99999999999999999999\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root+"/sys/kernel/random/boot_id", files[0])
			write(t, root+"/stat", files[1])
			j := new(journal)
			h := readHost(collector.Paths{Procfs: root, Rootfs: root}, slog.New(slog.NewTextHandler(j, nil)))
			if h.bootID != [16]byte{} || h.boot != 0 || h.machineID != "" || j.lines("WARN") != 2 {
				t.Errorf("host %+v, log %s", h, j)
			}
		})
	}
}

func TestInstance(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name, configured, kept, host, want string
		warnings                           int
	}{
		{"first start", "", "", "gateway-7", "gateway-7", 0},
		{"renamed since", "", "gateway-7\n", "other", "gateway-7", 0},
		{"became localhost", "", "gateway-7\n", "localhost", "gateway-7", 0},
		{"configured", "set", "gateway-7\n", "other", "set", 0},
		{"localhost", "", "", "localhost", id, 1},
		{"localhost with a domain", "", "", "localhost.localdomain", id, 1},
		{"no host name", "", "", "", id, 1},
		{"kept name lost in a power cut", "", "\x00\x00\x00\x00", "gateway-7", "gateway-7", 1},
		{"kept name is a page", "", strings.Repeat("x", 5000), "gateway-7", "gateway-7", 1},
		{"kept name is two lines", "", "a\nb\n", "gateway-7", "gateway-7", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if c.kept != "" {
				write(t, dir+"/instance", c.kept)
			}
			j := new(journal)
			h := host{name: c.host, machineID: id}
			if got := h.instance(c.configured, dir, slog.New(slog.NewTextHandler(j, nil))); got != c.want {
				t.Errorf("instance %q, want %q", got, c.want)
			}
			if n := j.lines("WARN"); n != c.warnings {
				t.Errorf("%d warnings, want %d: %s", n, c.warnings, j)
			}
			if c.configured != "" {
				return
			}
			h.name = "yet-another"
			if got := h.instance("", dir, slog.New(slog.DiscardHandler)); got != c.want {
				t.Errorf("instance flipped to %q", got)
			}
			if names, _ := filepath.Glob(dir + "/*"); len(names) != 1 {
				t.Errorf("left in the state directory: %v", names)
			}
		})
	}
}

// A state directory that cannot be written costs a warning; a machine without
// a name and an id still gets one.
func TestInstanceWithoutState(t *testing.T) {
	file := t.TempDir() + "/a file"
	write(t, file, "")
	j := new(journal)
	log := slog.New(slog.NewTextHandler(j, nil))
	if got := (host{name: "gateway-7"}).instance("", file+"/state", log); got != "gateway-7" || j.lines("keep instance") != 1 {
		t.Errorf("instance %q, log %s", got, j)
	}
	dir := t.TempDir()
	first := host{}.instance("", dir, log)
	if second := (host{}).instance("", dir, log); first == "" || first != second {
		t.Errorf("instance %q, then %q", first, second)
	}
}

func TestSourceLabels(t *testing.T) {
	for _, c := range []struct{ external, want string }{
		{"", "[{instance i} {job node}]"},
		{"site=plant-7 a=b", "[{a b} {instance i} {job node} {site plant-7}]"},
		{"job=other instance=other site=x", "[{instance i} {job node} {site x}]"},
	} {
		var external []metric.Label
		for pair := range strings.FieldsSeq(c.external) {
			name, value, _ := strings.Cut(pair, "=")
			external = append(external, metric.Label{Name: name, Value: value})
		}
		if got := fmt.Sprint(sourceLabels("node", "i", external)); got != c.want {
			t.Errorf("sourceLabels(%q) = %s, want %s", c.external, got, c.want)
		}
	}
}

func FuzzReadHost(f *testing.F) {
	f.Add("btime 1\n", "01234567-89ab-cdef-0123-456789abcdef\n", "name\n")
	f.Fuzz(func(t *testing.T, stat, id, kept string) {
		dir := t.TempDir()
		write(t, dir+"/stat", stat)
		write(t, dir+"/id", id)
		write(t, dir+"/instance", kept)
		if ms, err := readBootTime(dir + "/stat"); ms < 0 || err != nil && ms != 0 {
			t.Errorf("readBootTime(%q) = %d, %v", stat, ms, err)
		}
		if got, err := readBootID(dir + "/id"); err != nil && got != [16]byte{} {
			t.Errorf("readBootID(%q) = %x, %v", id, got, err)
		}
		if got := (host{name: "h"}).instance("", dir, slog.New(slog.DiscardHandler)); !usable(got) {
			t.Errorf("instance %q of %q", got, kept)
		}
	})
}

// The kernel's boot time moves with the clock; that of a boot does not.
func TestBootTimeIsLatched(t *testing.T) {
	dir := t.TempDir()
	latched := func(id byte, boot int64) int64 {
		h := host{bootID: [16]byte{id}, boot: boot}
		h.latch(dir, slog.New(slog.DiscardHandler))
		return h.boot
	}
	for i, c := range []struct {
		id         byte
		boot, want int64
	}{{1, 5000, 5000}, {1, 6000, 5000}, {2, 7000, 7000}, {2, 0, 0}, {0, 8000, 8000}, {2, 9000, 7000}} {
		if got := latched(c.id, c.boot); got != c.want {
			t.Errorf("step %d: boot %d at %d is latched to %d, want %d", i, c.id, c.boot, got, c.want)
		}
	}
	for _, damaged := range []string{"", "x", "02000000000000000000000000000000", "02000000000000000000000000000000 -1", "\x00"} {
		os.WriteFile(filepath.Join(dir, bootFile), []byte(damaged), 0o600)
		if got := latched(2, 9000); got != 9000 {
			t.Errorf("with the file %q: %d, want 9000", damaged, got)
		}
	}
}
