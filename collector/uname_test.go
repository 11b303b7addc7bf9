package collector

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnameOfThisHost(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	got, err := collectOnce(t, makeOne(t, realHost(nil), "uname", Options{}))
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	for series := range got {
		for _, part := range []string{`sysname="Linux"`, `release="` + strings.TrimSpace(string(want)) + `"`, `nodename="` + host + `"`} {
			if !strings.Contains(series, part) {
				t.Errorf("%s lacks %s", series, part)
			}
		}
	}
}

func TestUnameFails(t *testing.T) {
	h := realHost(nil)
	h.uname = func(*unix.Utsname) error { return unix.ENOSYS }
	if _, err := collectOnce(t, makeOne(t, h, "uname", Options{})); !errors.Is(err, unix.ENOSYS) {
		t.Errorf("got %v", err)
	}
}
