package e2e

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// status returns the fields of /proc/PID/status, their values with single spaces.
func status(t *testing.T, pid string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// wantStatus compares fields of /proc/PID/status.
func wantStatus(t *testing.T, pid string, want map[string]string) {
	t.Helper()
	got := status(t, pid)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("process: %s is %q, want %q", key, got[key], value)
		}
	}
}

// twoCapabilities is CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE as /proc shows them.
const twoCapabilities = "0000000000080004"

// procNumber returns the number behind the key at the start of a line of /proc/FILE.
func procNumber(t *testing.T, file, key string) float64 {
	t.Helper()
	for line := range strings.Lines(string(procFile(t, file))) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			v, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("/proc/%s has no %s", file, key)
	return 0
}

func procFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile("/proc/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hostCPUs(t *testing.T) (cpus []string) {
	t.Helper()
	for line := range strings.Lines(string(procFile(t, "stat"))) {
		name, _, _ := strings.Cut(line, " ")
		if number, ok := strings.CutPrefix(name, "cpu"); ok && number != "" {
			cpus = append(cpus, number)
		}
	}
	slices.Sort(cpus)
	return cpus
}

func hostInterfaces(t *testing.T) (names []string) {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		names = append(names, one.Name)
	}
	slices.Sort(names)
	return names
}
