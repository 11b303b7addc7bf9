package collector

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/metrics.md")

// recorded is the host below testdata/host. What statfs(2) and uname(2)
// answered there stands here.
func recorded() *host {
	return &host{
		Paths: Paths{Procfs: "testdata/host/proc", Sysfs: "testdata/host/sys", Rootfs: "/", UdevData: "testdata/host/udev"},
		zone:  time.FixedZone("CET", 3600),
		statfs: func(path string, st *unix.Statfs_t) error {
			switch path {
			case "/":
				*st = unix.Statfs_t{Bsize: 4096, Blocks: 66052044, Bfree: 62755422, Bavail: 20574012, Files: 16777216, Ffree: 16346183}
			case "/boot/efi":
				*st = unix.Statfs_t{Bsize: 512, Blocks: 1046511, Bfree: 1034231, Bavail: 1034231}
			case "/srv/my data":
				*st = unix.Statfs_t{Bsize: 1048576, Blocks: 1907729, Bfree: 1006000, Bavail: 910000, Files: 122101760, Ffree: 121000000}
			case "/run":
				*st = unix.Statfs_t{Bsize: 4096, Blocks: 204800, Bfree: 204500, Bavail: 204500, Files: 819200, Ffree: 818700}
			default:
				return unix.EACCES
			}
			return nil
		},
		uname: func(u *unix.Utsname) error {
			for text, field := range map[string]*[65]byte{
				"Linux": &u.Sysname, "6.1.0-18-amd64": &u.Release, "x86_64": &u.Machine,
				"#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1": &u.Version, "plant-7": &u.Nodename, "(none)": &u.Domainname,
			} {
				copy(field[:], text)
			}
			return nil
		},
	}
}

// ownCollectors show this process, which is not recorded.
var ownCollectors = []string{"process", "go"}

// hostNames lists the collectors that the recorded host has data for.
func hostNames() []string {
	var names []string
	for _, name := range Names() {
		if !slices.Contains(ownCollectors, name) {
			names = append(names, name)
		}
	}
	return names
}

// The whole output for one host, with every collector and every option that
// adds something.
func TestGolden(t *testing.T) {
	on := Options{CPU: CPUOptions{Info: true, InfoFlagsInclude: ptr("^(aes|avx.*)$"), InfoBugsInclude: ptr("spectre")}}
	collectors, err := makeAll(hostNames(), recorded(), on)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, c := range collectors {
		var dst metric.Buffer
		if err := c.Collect(t.Context(), time.UnixMilli(1700000000123), &dst); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		writeText(&out, dst.Samples())
	}
	compareGolden(t, "testdata/host.prom", out.String())
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Fatalf("%s:%d differs (run with -update to accept)\n got %s\nwant %s", path, i+1, gotLines[i], wantLines[i])
		}
	}
	t.Fatalf("%s has %d lines, want %d (run with -update to accept)", path, len(gotLines), len(wantLines))
}

// writeText writes samples in the Prometheus text format, families in the
// order in which they first appear.
func writeText(w io.Writer, samples []metric.Sample) {
	var order []string
	families := make(map[string][]metric.Sample)
	for _, s := range samples {
		name := s.Desc.FamilyName()
		if families[name] == nil {
			order = append(order, name)
		}
		families[name] = append(families[name], s)
	}
	for _, name := range order {
		d := families[name][0].Desc
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, d.Help, name, d.Type)
		for _, s := range families[name] {
			fmt.Fprintf(w, "%s %s\n", seriesText(s), strconv.FormatFloat(s.Value, 'g', -1, 64))
		}
	}
}

// seriesText names a series, without its empty labels.
func seriesText(s metric.Sample) string {
	var labels []string
	for i, name := range s.Desc.Labels {
		if s.Values[i] != "" {
			labels = append(labels, fmt.Sprintf("%s=%q", name, s.Values[i]))
		}
	}
	if len(labels) == 0 {
		return s.Desc.Name
	}
	return s.Desc.Name + "{" + strings.Join(labels, ",") + "}"
}

func ptr[T any](v T) *T { return &v }

// collectOnce returns what a collector shows, as series and values.
func collectOnce(t *testing.T, c Collector) (map[string]float64, error) {
	t.Helper()
	var dst metric.Buffer
	err := c.Collect(context.Background(), time.UnixMilli(1700000000123), &dst)
	return seriesOf(t, dst.Samples()), err
}

// seriesOf maps series to values; a series that appears twice fails the test.
func seriesOf(t testing.TB, samples []metric.Sample) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	for _, s := range samples {
		name := seriesText(s)
		if _, twice := values[name]; twice {
			t.Errorf("series %s appears twice", name)
		}
		values[name] = s.Value
	}
	return values
}
