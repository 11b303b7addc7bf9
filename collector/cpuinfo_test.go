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
	const oldARM = "Processor\t: Feroceon 88FR131 rev 1 (v5l)\n\nprocessor\t: 0\nBogoMIPS\t: 1191.11\n\nprocessor\t: 1\nBogoMIPS\t: 1191.11\n\n" +
		"Features\t: swp half thumb fastmult edsp\nCPU implementer\t: 0x56\nCPU revision\t: 1\n\nHardware\t: QNAP TS-119/TS-219\n"
	const arm64 = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes crc32\nCPU implementer\t: 0x41\n" +
		"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
	const riscv = "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n\n" +
		"processor\t: 1\nhart\t\t: 2\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n\n"
	const mips = "system type\t\t: MediaTek MT7621 ver:1 eco:3\nmachine\t\t\t: Ubiquiti EdgeRouter X\nprocessor\t\t: 0\ncpu model\t\t: MIPS 1004Kc V2.15\n" +
		"BogoMIPS\t\t: 586.13\nwait instruction\t: yes\nhardware watchpoint\t: yes, count: 4, address/irw mask: [0x0ffc, 0x0ffc]\nisa\t\t\t: mips1 mips2 mips32r1 mips32r2\ncore\t\t\t: 0\n\n" +
		"processor\t\t: 1\ncpu model\t\t: MIPS 1004Kc V2.15\nisa\t\t\t: mips1 mips2 mips32r1 mips32r2\n\n"
	tests := []struct {
		name, text string
		o          CPUOptions
		want       map[string]float64
	}{
		{"arm", arm, CPUOptions{Info: true}, map[string]float64{
			`node_cpu_info{cpu="0",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1, `node_cpu_info{cpu="1",model_name="ARMv7 Processor rev 4 (v7l)"}`: 1}},
		{"old arm", oldARM, CPUOptions{Info: true}, map[string]float64{
			`node_cpu_info{cpu="0",model_name="Feroceon 88FR131 rev 1 (v5l)"}`: 1, `node_cpu_info{cpu="1",model_name="Feroceon 88FR131 rev 1 (v5l)"}`: 1}},
		{"arm64", arm64, CPUOptions{InfoFlagsInclude: ptr("^(aes|sve)$")}, map[string]float64{`node_cpu_info{cpu="0"}`: 1, `node_cpu_flag_info{flag="aes"}`: 1}},
		{"riscv64", riscv, CPUOptions{Info: true}, map[string]float64{
			`node_cpu_info{core="1",cpu="0",model_name="rv64imafdc"}`: 1, `node_cpu_info{core="2",cpu="1",model_name="rv64imafdc"}`: 1}},
		{"mips", mips, CPUOptions{Info: true}, map[string]float64{
			`node_cpu_info{cpu="0",vendor="MediaTek MT7621 ver:1 eco:3",model_name="MIPS 1004Kc V2.15"}`: 1,
			`node_cpu_info{cpu="1",vendor="MediaTek MT7621 ver:1 eco:3",model_name="MIPS 1004Kc V2.15"}`: 1}},
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
	f.Add("system type : a\nProcessor : b\nprocessor : 0\nhart : 1\nisa : c\nprocessor : 1\nisa : d\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text {
			text = strings.ToValidUTF8(text, "?")
		}
		_, _ = onlyInfo(t, text, CPUOptions{Info: true, InfoFlagsInclude: ptr("."), InfoBugsInclude: ptr(".")})
	})
}
