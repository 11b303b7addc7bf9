package collector

import (
	"maps"
	"strings"
	"testing"
)

const cpuDir = "sys/devices/system/cpu/"

// onlySys returns what cpu shows of sysfs.
func onlySys(t *testing.T, c Collector) map[string]float64 {
	t.Helper()
	got, err := collectOnce(t, c)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return strings.HasPrefix(name, "node_cpu_seconds") || strings.HasPrefix(name, "node_cpu_guest")
	})
	return got
}

func TestCPUSys(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  map[string]float64
	}{
		{"two threads of a core", map[string]string{
			"cpu0/topology/physical_package_id": "0\n", "cpu0/topology/core_id": "0\n",
			"cpu0/thermal_throttle/core_throttle_count": "5\n", "cpu0/thermal_throttle/package_throttle_count": "7\n",
			"cpu1/topology/physical_package_id": "0\n", "cpu1/topology/core_id": "0\n",
			"cpu1/thermal_throttle/core_throttle_count": "5\n", "cpu1/thermal_throttle/package_throttle_count": "7\n",
		}, map[string]float64{`node_cpu_core_throttles_total{package="0",core="0"}`: 5, `node_cpu_package_throttles_total{package="0"}`: 7}},
		{"core counters only", map[string]string{
			"cpu0/topology/physical_package_id": "1\n", "cpu0/topology/core_id": "2\n", "cpu0/thermal_throttle/core_throttle_count": "5\n",
		}, map[string]float64{`node_cpu_core_throttles_total{package="1",core="2"}`: 5}},
		{"package unknown", map[string]string{
			"cpu0/topology/physical_package_id": "-1\n", "cpu0/topology/core_id": "0\n", "cpu0/thermal_throttle/core_throttle_count": "5\n",
		}, nil},
		{"some off line", map[string]string{"online": "0,2\n", "cpu0/online": "1\n", "cpu1/online": "0\n", "cpu2/online": "1\n"},
			map[string]float64{`node_cpu_online{cpu="0"}`: 1, `node_cpu_online{cpu="1"}`: 0, `node_cpu_online{cpu="2"}`: 1}},
		{"cpu0 cannot go off line", map[string]string{"online": "0-1\n", "cpu0/uevent": "", "cpu1/online": "1\n"}, nil},
		{"isolated", map[string]string{"isolated": "1-2,4\n"},
			map[string]float64{`node_cpu_isolated{cpu="1"}`: 1, `node_cpu_isolated{cpu="2"}`: 1, `node_cpu_isolated{cpu="4"}`: 1}},
		{"none isolated", map[string]string{"isolated": "\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"proc/stat": "cpu0 1 2 3 4\n"}
			for path, text := range tt.files {
				files[cpuDir+path] = text
			}
			got := onlySys(t, makeOne(t, hostWith(t, files), "cpu", Options{}))
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// The layout is read again when a CPU comes or goes.
func TestCPUSysFollowsHotplug(t *testing.T) {
	h := hostWith(t, map[string]string{
		"proc/stat": "cpu0 1 2 3 4\n", cpuDir + "cpu0/online": "1\n", cpuDir + "online": "0\n",
		cpuDir + "cpu1/topology/physical_package_id": "0\n", cpuDir + "cpu1/topology/core_id": "1\n",
		cpuDir + "cpu1/thermal_throttle/note": "",
	})
	c := makeOne(t, h, "cpu", Options{})
	onlySys(t, c)
	rewrite(t, h, cpuDir+"cpu1/thermal_throttle/core_throttle_count", "3\n")
	rewrite(t, h, "proc/stat", "cpu0 1 2 3 4\ncpu1 1 2 3 4\n")
	wantSeries(t, onlySys(t, c), map[string]float64{`node_cpu_core_throttles_total{package="0",core="1"}`: 3})
}
