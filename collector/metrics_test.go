package collector

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// sourceOf says where the families that begin with a prefix come from; the
// longest prefix holds.
var sourceOf = map[string]string{
	"node_cpu_":                        "/proc/stat",
	"node_cpu_info":                    "/proc/cpuinfo",
	"node_cpu_flag_info":               "/proc/cpuinfo",
	"node_cpu_bug_info":                "/proc/cpuinfo",
	"node_cpu_core_throttles_total":    "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
	"node_cpu_package_throttles_total": "/sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
	"node_cpu_isolated":                "/sys/devices/system/cpu/isolated",
	"node_cpu_online":                  "/sys/devices/system/cpu/online",
	"node_memory_":                     "/proc/meminfo",
	"node_load":                        "/proc/loadavg",
	"node_disk_":                       "/proc/diskstats",
	"node_disk_info":                   "/run/udev/data/b*, /sys/block/*/queue/rotational",
	"node_disk_filesystem_info":        "/run/udev/data/b*",
	"node_disk_device_mapper_info":     "/run/udev/data/b*",
	"node_disk_ata_":                   "/run/udev/data/b*",
	"node_filesystem_":                 "statfs(2)",
	"node_filesystem_readonly":         "/proc/1/mountinfo",
	"node_filesystem_mount_info":       "/proc/1/mountinfo",
	"node_network_":                    "rtnetlink, /proc/1/net/dev",
	"node_network_receive_nohandler_":  "rtnetlink",
	"node_network_address_info":        "rtnetlink",
	"node_uname_":                      "uname(2)",
	"node_time_":                       "clock of the round",
	"node_time_clocksource_":           "/sys/devices/system/clocksource/clocksource*",
	"process_":                         "/proc/self/stat",
	"process_open_fds":                 "/proc/self/fd",
	"process_max_fds":                  "getrlimit(2)",
	"process_virtual_memory_max_bytes": "getrlimit(2)",
	"process_network_":                 "/proc/self/net/netstat",
	"go_":                              "runtime/metrics",
	"go_info":                          "runtime.Version",
	"go_goroutines":                    "runtime.NumGoroutine",
	"go_threads":                       "runtime.ThreadCreateProfile",
	"go_gc_duration_seconds":           "debug.ReadGCStats",
	"go_memstats_last_gc_time_seconds": "debug.ReadGCStats",
}

func source(t *testing.T, family string) string {
	longest := ""
	for prefix := range sourceOf {
		if strings.HasPrefix(family, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if longest == "" {
		t.Errorf("%s has no source in sourceOf", family)
	}
	return sourceOf[longest]
}

// docs/metrics.md has, under a heading for each collector and between two
// markers, a table made from the code. What stands outside of the markers is
// written by hand.
func TestMetricsDocument(t *testing.T) {
	const path = "../docs/metrics.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, name := range Names() {
		begin, end := fmt.Sprintf("<!-- begin %s: generated, do not edit -->\n", name), fmt.Sprintf("<!-- end %s -->", name)
		before, rest, ok1 := strings.Cut(doc, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 || !strings.Contains(before, "\n## "+name+"\n") {
			t.Fatalf("%s lacks the heading %q or the markers %q and %q", path, "## "+name, begin, end)
		}
		doc = before + begin + metricsTable(t, name) + end + after
	}
	compareGolden(t, path, doc)
}

func metricsTable(t *testing.T, collector string) string {
	var b strings.Builder
	b.WriteString("| family | type | unit | labels | source | meaning |\n|---|---|---|---|---|---|\n")
	last := ""
	for _, d := range allDescs(t) {
		family := d.desc.FamilyName()
		if d.collector != collector || family == last {
			continue
		}
		last = family
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", family, d.desc.Type, d.desc.Unit,
			strings.Join(d.desc.Labels, ", "), source(t, family), d.desc.Help)
	}
	return b.String()
}
