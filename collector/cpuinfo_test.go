package collector

import (
	"maps"
	"strings"
	"testing"
)

// onlyInfo returns what cpu shows of /proc/cpuinfo.
func onlyInfo(t *testing.T, text string, o CPUOptions) (map[string]float64, error) {
	t.Helper()
	got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{"proc/stat": "cpu0 1 2 3 4\n", "proc/cpuinfo": text}), "cpu", Options{CPU: o}))
	maps.DeleteFunc(got, func(series string, _ float64) bool { return !strings.Contains(series, "_info") })
	return got, err
}

func TestCPUInfo(t *testing.T) {
	const arm = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nFeatures\t: half thumb neon\n\n" +
		"processor\t: 1\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nFeatures\t: half thumb neon\n\n" +
		"Hardware\t: BCM2835\nRevision\t: a02082\nSerial\t\t: 00000000\nModel\t\t: Raspberry Pi 3 Model B\n"
	tests := []struct {
		name, text string
		o          CPUOptions
		want       map[string]float64
	}{
		{"arm", arm, CPUOptions{Info: true}, map[string]float64{
			`node_cpu_info{cpu="0",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1, `node_cpu_info{cpu="1",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1}},
		{"flags bring info with them", arm, CPUOptions{InfoFlagsInclude: ptr("^(neon|thumb)$")}, map[string]float64{
			`node_cpu_info{cpu="0",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1, `node_cpu_info{cpu="1",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1,
			`node_cpu_flag_info{flag="neon"}`: 1, `node_cpu_flag_info{flag="thumb"}`: 1}},
		{"off", arm, CPUOptions{}, nil},
		{"empty pattern is off", arm, CPUOptions{InfoBugsInclude: ptr("")}, nil},
		{"nothing known", "processor : 0\n", CPUOptions{Info: true}, map[string]float64{`node_cpu_info{cpu="0"}`: 1}},
		{"flags of the first CPU", "processor : 0\nflags : a\n\nprocessor : 1\nflags : b\n", CPUOptions{InfoFlagsInclude: ptr(".")},
			map[string]float64{`node_cpu_info{cpu="0"}`: 1, `node_cpu_info{cpu="1"}`: 1, `node_cpu_flag_info{flag="a"}`: 1}},
		{"a flag twice", "processor : 0\nflags : a a\n", CPUOptions{InfoFlagsInclude: ptr(".")}, map[string]float64{`node_cpu_info{cpu="0"}`: 1, `node_cpu_flag_info{flag="a"}`: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := onlyInfo(t, tt.text, tt.o)
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestCPUInfoMalformed(t *testing.T) {
	got, err := onlyInfo(t, "processor : 0\nnonsense\nprocessor : x\nprocessor : 0\nprocessor : 2\n", CPUOptions{Info: true})
	wantError(t, err, "/proc/cpuinfo:2", "2 more bad lines")
	if want := map[string]float64{`node_cpu_info{cpu="0"}`: 1, `node_cpu_info{cpu="2"}`: 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzCPUInfo(f *testing.F) {
	f.Add("processor : 0\nflags : a b\nbugs : c\n\nprocessor : 1\n")
	f.Add("processor : 0\nprocessor : 0\nflags\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text {
			text = strings.ToValidUTF8(text, "?")
		}
		_, _ = onlyInfo(t, text, CPUOptions{Info: true, InfoFlagsInclude: ptr("."), InfoBugsInclude: ptr(".")})
	})
}
