package e2e

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// promtool exits with 3 when it would like other names than node_exporter's
// and with 1 when it cannot parse.
func TestPromtoolReadsOnce(t *testing.T) {
	t.Parallel()
	promtool := need(t, "promtool", "prometheus")
	out, err := exec.Command(binary, "once").Output()
	if err != nil {
		t.Fatalf("nodepush once: %v", err)
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(string(out))
	said, err := check.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() != 3 || err != nil && exit == nil {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
	t.Logf("promtool check metrics: exit %d, %d lines of advice", check.ProcessState.ExitCode(), strings.Count(string(said), "\n"))
}

// What `make build` was told must be what the program says of itself.
func TestVersion(t *testing.T) {
	out, err := exec.Command(binary, "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "nodepush "+version+" (revision ") {
		t.Errorf("--version: %v\n%s", err, out)
	}
}

// subjects are the collectors that nodepush and Debian's node_exporter 1.5 share.
var subjects = []string{"cpu", "meminfo", "loadavg", "diskstats", "filesystem", "netdev", "uname", "time"}

// differences from node_exporter 1.5 that are meant, each with its reason.
var differences = map[string]string{
	"node_exporter_build_info": "nodepush's own version",
}

// Debian's node_exporter reads before and after `nodepush once`: no family and
// no series of it may be missing, no type may differ, and each value must lie
// between the two readings.
func TestNodeExporterAgrees(t *testing.T) { // not parallel: other tests mount file systems
	addr := freePort(t)
	args := []string{"--web.listen-address=" + addr, "--collector.disable-defaults", "--web.disable-exporter-metrics",
		// the default excludes of node_exporter 1.12, which nodepush follows, instead of those of 1.5
		`--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`,
		`--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`,
		`--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$`,
		`--collector.netdev.device-exclude=^$`}
	for _, subject := range subjects {
		args = append(args, "--collector."+subject)
	}
	start(t, need(t, "prometheus-node-exporter", "prometheus-node-exporter"), args...)
	ready(t, "http://"+addr+"/metrics")

	before := families(t, fetch(t, "http://"+addr+"/metrics"))
	out, err := exec.Command(binary, "once", "--collectors="+strings.Join(subjects, ",")).Output()
	if err != nil {
		t.Fatalf("nodepush once: %v", err)
	}
	after := families(t, fetch(t, "http://"+addr+"/metrics"))
	ours := families(t, out)

	compared := 0
	for name, theirs := range before {
		if differences[name] != "" || !strings.HasPrefix(name, "node_") || strings.HasPrefix(name, "node_scrape_") {
			continue
		}
		mine, ok := ours[name]
		if !ok {
			t.Errorf("family %s is missing", name)
			continue
		}
		if mine.GetType() != theirs.GetType() {
			t.Errorf("%s is a %s, node_exporter's a %s", name, mine.GetType(), theirs.GetType())
		}
		first, last, values := values(t, theirs), values(t, after[name]), values(t, mine)
		for series, low := range first {
			got, ok := find(values, series)
			if !ok {
				t.Errorf("series %s is missing", series)
				continue
			}
			compared++
			if high := last[series]; !within(name, got, low, high) {
				t.Errorf("%s = %v, node_exporter had %v before and %v after", series, got, low, high)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d series compared", compared)
	}
	t.Logf("%d series of node_exporter %v compared", compared, subjects)
}

// newer matches labels that node_exporter 1.5 does not have yet.
var newer = regexp.MustCompile(`(device_error|rotational)="[^"]*"(, )?`)

// find looks series up; labels that are newer than node_exporter 1.5 are ignored.
func find(values map[string]float64, series string) (float64, bool) {
	if v, ok := values[series]; ok {
		return v, true
	}
	for name, v := range values {
		if strings.Replace(newer.ReplaceAllString(name, ""), ", }", "}", 1) == series {
			return v, true
		}
	}
	return 0, false
}

// within reports whether got lies between the two readings, but for what a
// gauge may have strayed meanwhile: the program that reads it takes memory.
func within(name string, got, low, high float64) bool {
	low, high = min(low, high), max(low, high)
	slack := max(0.05, math.Abs(high)*0.02)
	switch {
	case strings.HasPrefix(name, "node_memory_"):
		low, high, slack = low/2, high*2, 4<<20
	case name == "node_disk_io_now": // requests of this moment: up and down between two readings
		return got >= 0
	}
	return got >= low-slack && got <= high+slack
}

func fetch(t testing.TB, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, res.Status, err)
	}
	return body
}

func families(t testing.TB, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("parse the text format: %v", err)
	}
	return found
}

func values(t testing.TB, family *dto.MetricFamily) map[string]float64 {
	t.Helper()
	vector, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, family)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]float64, len(vector))
	for _, sample := range vector {
		labels := make(map[string]string, len(sample.Metric))
		for name, value := range sample.Metric {
			labels[string(name)] = string(value)
		}
		found[key(labels)] = float64(sample.Value)
	}
	return found
}
