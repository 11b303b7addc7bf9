//go:build vm

package vm

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// asUser runs a command as the service's user: first with nothing else, then
// under what the unit gives.
const (
	asUser = "setpriv --reuid=nodepush --regid=nodepush --clear-groups --inh-caps=-all --bounding-set=-all "
	asUnit = "systemd-run --quiet --wait --pipe --collect --property=User=nodepush --property=AmbientCapabilities='CAP_DAC_READ_SEARCH CAP_SYS_PTRACE' " +
		"--property=CapabilityBoundingSet='CAP_DAC_READ_SEARCH CAP_SYS_PTRACE' --property=NoNewPrivileges=yes --property=ProtectSystem=strict --property=ProtectHome=read-only "
)

// checkOnce compares `nodepush once` with /proc and df read before and after
// it, and what root sees with what the service's user does.
func checkOnce(t *testing.T, m *machine) {
	m.run("mkdir -p -m 700 /root/closed && mkdir -p /root/closed/fs && mount -t tmpfs -o size=1m tmpfs /root/closed/fs; " +
		"ip link add dummy0 type dummy 2>/dev/null || ip link add name veth0 type veth peer name veth1; cp /usr/bin/nodepush /usr/local/bin/np")
	defer m.run("umount /root/closed/fs; ip link delete dummy0 2>/dev/null || ip link delete veth0; rm /usr/local/bin/np")
	before := readHost(t, m)
	root := m.once(t, "")
	after := readHost(t, m)
	user, unit := m.once(t, asUser), m.once(t, asUnit)
	checkAgainst(t, root, before, after)
	checkAgainst(t, unit, before, readHost(t, m))
	if got, want := families(unit), families(root); !slices.Equal(got, want) {
		t.Errorf("families under the unit's settings and as root differ: %s", difference(got, want))
	}
	if got, want := families(user), families(root); !slices.Equal(got, want) {
		t.Errorf("families as bare user and as root differ: %s", difference(got, want))
	}
	const closed = `node_filesystem_device_error{device="tmpfs",mountpoint="/root/closed/fs",fstype="tmpfs"`
	for who, text := range map[string]map[string]float64{"root": root, "the unit": unit, "the bare user": user} {
		want := 0.0
		if who == "the bare user" {
			want = 1 // as docs/operations.md says
		}
		if got, there := startsWith(text, closed); !there || got != want {
			t.Errorf("device_error of a file system in a closed directory for %s: %v (%v), want %v", who, got, there, want)
		}
	}
	t.Logf("%d series and %d families as root, %d and %d as the unit, %d and %d as the bare user",
		len(root), len(families(root)), len(unit), len(families(unit)), len(user), len(families(user)))
}

// once runs the command and returns values by series.
func (m *machine) once(t *testing.T, prefix string) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	for line := range strings.Lines(m.run(prefix + "/usr/bin/nodepush once")) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		v, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			t.Fatalf("once: %q: %v", line, err)
		}
		values[line[:space]] = v
	}
	return values
}

// host is what the guest's own files and programs say.
type host struct {
	exact   map[string]float64 // by series
	growing map[string]float64 // counters
}

// readHost reads it.
func readHost(t *testing.T, m *machine) host {
	t.Helper()
	h := host{make(map[string]float64), make(map[string]float64)}
	h.exact["node_memory_MemTotal_bytes"] = memTotal(t, m)
	h.exact[m.run(`echo "node_uname_info{sysname=\"$(uname -s)\",release=\"$(uname -r)\",version=\"$(uname -v)\",machine=\"$(uname -m)\",nodename=\"$(uname -n)\",domainname=\"(none)\"}"`)] = 1
	for line := range strings.Lines(m.run("df --block-size=1 --output=source,fstype,target,size --all 2>/dev/null | grep -v 'fuse\\|automount' | tail -n +2")) {
		f := strings.Fields(line)
		if len(f) == 4 && f[3] != "0" && f[3] != "-" && !strings.HasPrefix(f[2], "/proc") && !strings.HasPrefix(f[2], "/sys") && !strings.HasPrefix(f[2], "/dev") && !strings.HasPrefix(f[2], "/run/credentials") {
			h.exact[fmt.Sprintf("node_filesystem_size_bytes{device=%q,mountpoint=%q,fstype=%q", f[0], f[2], f[1])] = number(t, f[3])
		}
	}
	for line := range strings.Lines(m.run("tail -n +3 /proc/net/dev")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		for metric, column := range map[string]int{"receive_bytes": 0, "receive_packets": 1, "transmit_bytes": 8, "transmit_packets": 9} {
			h.growing[fmt.Sprintf("node_network_%s_total{device=%q}", metric, name)] = number(t, f[column])
		}
	}
	for line := range strings.Lines(m.run("grep '^cpu[0-9]' /proc/stat")) {
		f := strings.Fields(line)
		for column, mode := range []string{"user", "nice", "system", "idle"} {
			h.growing[fmt.Sprintf("node_cpu_seconds_total{cpu=%q,mode=%q}", strings.TrimPrefix(f[0], "cpu"), mode)] = number(t, f[column+1]) / 100
		}
	}
	if len(h.exact) < 6 || len(h.growing) < 2*4+2*4 {
		t.Fatalf("the host says only %v %v", h.exact, h.growing)
	}
	return h
}

// checkAgainst wants what does not change to be equal, and counters to be
// between their readings.
func checkAgainst(t *testing.T, once map[string]float64, before, after host) {
	t.Helper()
	for name, want := range after.exact {
		if got, ok := startsWith(once, name); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for name, low := range before.growing {
		high := math.Max(low, after.growing[name])
		if got, ok := once[name]; !ok || got < low || got > high {
			t.Errorf("%s is %v (%v), want %v to %v", name, got, ok, low, high)
		}
	}
	cpus := 0
	for name := range once {
		if strings.HasPrefix(name, "node_cpu_seconds_total{") && strings.Contains(name, `mode="idle"`) {
			cpus++
		}
	}
	if cpus != 2 {
		t.Errorf("%d CPUs, want 2", cpus)
	}
}

// startsWith finds the only series whose text begins so: later labels may follow.
func startsWith(values map[string]float64, prefix string) (found float64, ok bool) {
	for name, v := range values {
		if strings.HasPrefix(name, prefix) {
			return v, true
		}
	}
	return 0, false
}

var family = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)

// families lists the metrics' names.
func families(values map[string]float64) []string {
	names := make(map[string]bool)
	for name := range values {
		names[family.FindString(name)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// difference names what only one of the lists has.
func difference(got, want []string) string {
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	return fmt.Sprintf("too many %v, missing %v", only(got, want), only(want, got))
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
