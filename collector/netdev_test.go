package collector

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const netHeading = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs\n"

func TestParseNetdevLine(t *testing.T) {
	tests := []struct {
		name, in, device string
		ok               bool
	}{
		{"plain", "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0", true},
		{"no space behind the colon", "eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0", true},
		{"alias", "eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "eth0:1", true},
		{"fifteen", "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "", false},
		{"seventeen", "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "", false},
		{"no name", ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "", false},
		{"two names", "a b: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "", false},
		{"no colon", "eth0 1 2 3", "", false},
		{"empty", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, c, ok := parseNetdevLine([]byte(tt.in))
			if ok != tt.ok || ok && (string(name) != tt.device || c.n != 16 || c.values[0] != 1 || c.values[15] != 16) {
				t.Errorf("parseNetdevLine(%q) = %q, %+v, %v", tt.in, name, c, ok)
			}
		})
	}
}

// Of two net/dev below procfs, that of process 1 is the host's.
func TestNetdevReadsTheHostsNamespace(t *testing.T) {
	device := func(name string) string { return netHeading + name + ":" + strings.Repeat(" 1", 16) + "\n" }
	h := hostWith(t, map[string]string{"proc/net/dev": device("container0"), "proc/1/net/dev": device("host0")})
	got, err := collectOnce(t, makeOne(t, h, "netdev", Options{}))
	if err != nil {
		t.Fatal(err)
	}
	wantSeries(t, got, map[string]float64{`node_network_receive_bytes_total{device="host0"}`: 1})
	if len(got) != 16 {
		t.Errorf("got %v", got)
	}
}

func TestNetdevFilter(t *testing.T) {
	text := netHeading
	for _, name := range []string{"lo", "eth0", "veth1"} {
		text += name + ":" + strings.Repeat(" 1", 16) + "\n"
	}
	for want, o := range map[string]NetdevOptions{
		"lo eth0 veth1": {}, "eth0": {DeviceExclude: ptr("^(lo|veth.*)$")}, "veth1": {DeviceInclude: ptr("veth")},
	} {
		got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{"proc/net/dev": text}), "netdev", Options{Netdev: o}))
		if names := strings.Fields(want); err != nil || len(got) != 16*len(names) {
			t.Errorf("%+v: %d series, %v, want those of %q", o, len(got), err, want)
		}
	}
}

func TestNetdevAddresses(t *testing.T) {
	o := Options{Netdev: NetdevOptions{AddressInfo: true, DeviceInclude: ptr("^lo$")}}
	got, err := collectOnce(t, makeOne(t, realHost(nil), "netdev", o))
	if err != nil {
		t.Fatal(err)
	}
	wantSeries(t, got, map[string]float64{`node_network_address_info{device="lo",address="127.0.0.1",netmask="8",scope="link-local"}`: 1})
	h := hostWith(t, map[string]string{"proc/1/net/dev": netHeading})
	_, err = collectOnce(t, makeOne(t, h, "netdev", o))
	wantError(t, err, "own network namespace", h.Procfs)
}

// In a network namespace of its own the agent must not take its devices for
// those of process 1, and the other way round.
func TestSameNetwork(t *testing.T) {
	if !sameNetwork("/proc/self/net/dev") || !sameNetwork("/proc/thread-self/net/dev") {
		t.Error("the own namespace is not recognized")
	}
	if sameNetwork("/proc/self/stat") || sameNetwork("testdata/host/proc/net/dev") || sameNetwork("/proc/none") {
		t.Error("another file passes for the own namespace")
	}
	inNewNetwork(t, func() {
		if sameNetwork("/proc/1/net/dev") {
			t.Error("the namespace of process 1 passes for the own one")
		}
	})
}

// self prepares this test binary as a process of its own. Where the tests run
// under an emulator (make test-cross), the kernel cannot start it by itself.
func self(args ...string) *exec.Cmd {
	if emulator := os.Getenv("NODEPUSH_TEST_EMULATOR"); emulator != "" {
		return exec.Command(emulator, append([]string{os.Args[0]}, args...)...)
	}
	return exec.Command(os.Args[0], args...)
}

// inNewNetwork runs check in a child process that has a network namespace of
// its own. The test that calls it must do nothing before that may fail there.
func inNewNetwork(t *testing.T, check func()) {
	t.Helper()
	const inside = "NODEPUSH_TEST_NEW_NETWORK"
	if os.Getenv(inside) == t.Name() {
		check()
		return
	}
	needRoot(t, "a network namespace")
	child := self("-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), inside+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network namespace of its own: %v\n%s", err, out)
	}
}

func FuzzNetdev(f *testing.F) {
	f.Add(netHeading + "lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	f.Add(netHeading + "lo:\nlo")
	f.Fuzz(func(t *testing.T, text string) { fuzzCollector(t, "netdev", "proc/net/dev", text) })
}
