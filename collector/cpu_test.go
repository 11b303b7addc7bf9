package collector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nodepush/metric"
)

func TestParseCPULine(t *testing.T) {
	tests := []struct {
		name, in, number string
		want             cpuTimes
		ok               bool
	}{
		{"all columns", "cpu0 1 2 3 4 5 6 7 8 9 10", "0", cpuTimes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		{"sum", "cpu  1 2 3 4 5 6 7 8 9 10", "", cpuTimes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		{"old kernel", "cpu12 1 2 3 4", "12", cpuTimes{1, 2, 3, 4}, true},
		{"new kernel", "cpu1 1 2 3 4 5 6 7 8 9 10 11", "1", cpuTimes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		{"too few", "cpu1 1 2 3", "1", cpuTimes{}, false},
		{"no number", "cpu1 1 2 3 4 5x", "1", cpuTimes{}, false},
		{"no cpu", "intr 1 2 3 4", "", cpuTimes{}, false},
		{"empty", "", "", cpuTimes{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			number, got, ok := parseCPULine([]byte(tt.in))
			if ok != tt.ok || ok && (string(number) != tt.number || got != tt.want) {
				t.Errorf("parseCPULine(%q) = %q, %v, %v", tt.in, number, got, ok)
			}
		})
	}
}

// A counter that steps back stays where it was, a CPU that was unplugged
// begins anew, a CPU that is gone is not shown.
func TestCPUCountersThatGoBack(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/stat": ""})
	c := makeOne(t, h, "cpu", Options{})
	rounds := []struct {
		name, stat string
		want       map[string]float64
	}{
		{"start", "cpu0 100 0 0 1000 50 0 0 10 0 0\ncpu1 1 0 0 100 0 0 0 0 0 0\n", map[string]float64{"idle": 10, "iowait": 0.5, "user": 1}},
		{"small step back", "cpu0 110 0 0 999 40 0 0 9 0 0\ncpu1 1 0 0 100 0 0 0 0 0 0\n", map[string]float64{"idle": 10, "iowait": 0.5, "user": 1.1}},
		{"2.99 s", "cpu0 110 0 0 701 40 0 0 9 0 0\ncpu1 1 0 0 100 0 0 0 0 0 0\n", map[string]float64{"idle": 10, "iowait": 0.5, "user": 1.1}},
		{"3 s: unplugged", "cpu0 2 0 0 700 1 0 0 0 0 0\n", map[string]float64{"idle": 7, "iowait": 0.01, "user": 0.02}},
		{"on again", "cpu0 3 0 0 800 1 0 0 0 0 0\n", map[string]float64{"idle": 8, "iowait": 0.01, "user": 0.03}},
	}
	for i, r := range rounds {
		rewrite(t, h, "proc/stat", r.stat+"intr 1\n")
		got, err := collectOnce(t, c)
		if err != nil {
			t.Fatal(err)
		}
		for mode, v := range r.want {
			wantSeries(t, got, map[string]float64{fmt.Sprintf(`node_cpu_seconds_total{cpu="0",mode=%q}`, mode): v})
		}
		if _, shown := got[`node_cpu_seconds_total{cpu="1",mode="idle"}`]; shown != (i < 3) {
			t.Errorf("%s: cpu1 shown: %v", r.name, shown)
		}
	}
}

// A CPU whose line cannot be read this once keeps what is known of it.
func TestCPUKeepsTimesOverABadRound(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/stat": "cpu0 1 2 3 400\ncpu1 1 2 3 400\nintr 0\n"})
	c := makeOne(t, h, "cpu", Options{})
	for _, stat := range []string{"cpu0 1 2 3 400\ncpu1 1 2 3 400\nintr 0\n", "cpu0 1 2 3 400\ncpu1 x\nintr 0\n", "cpu0 1 2 3 390\ncpu1 1 2 3 390\nintr 0\n"} {
		rewrite(t, h, "proc/stat", stat)
		got, _ := collectOnce(t, c)
		wantSeries(t, got, map[string]float64{`node_cpu_seconds_total{cpu="0",mode="idle"}`: 4})
	}
	got, _ := collectOnce(t, c)
	wantSeries(t, got, map[string]float64{`node_cpu_seconds_total{cpu="1",mode="idle"}`: 4})
}

func TestCPUGuestOption(t *testing.T) {
	for _, guest := range []*bool{nil, ptr(true), ptr(false)} {
		h := hostWith(t, map[string]string{"proc/stat": "cpu0 100 10 0 0 0 0 0 0 60 5\nintr 0\n"})
		got, err := collectOnce(t, makeOne(t, h, "cpu", Options{CPU: CPUOptions{Guest: guest}}))
		if err != nil {
			t.Fatal(err)
		}
		wantSeries(t, got, map[string]float64{`node_cpu_seconds_total{cpu="0",mode="user"}`: 1})
		v, shown := got[`node_cpu_guest_seconds_total{cpu="0",mode="user"}`]
		if want := guest == nil || *guest; shown != want || shown && v != 0.6 {
			t.Errorf("guest %v: shown %v, value %v", guest, shown, v)
		}
	}
}

func FuzzCPU(f *testing.F) {
	f.Add("cpu  1 2 3 4\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1 2\n")
	f.Add("cpu0 1 2 3 4\ncpu0 1 2 3 4")
	f.Fuzz(func(t *testing.T, text string) { fuzzCollector(t, "cpu", "proc/stat", text) })
}

// fuzzCollector runs a collector twice over a file with any content: it must
// not fail but for an error, and must not show a series twice.
func fuzzCollector(t *testing.T, name, file, text string) {
	h := hostWith(t, map[string]string{file: text})
	c := makeOne(t, h, name, Options{})
	var dst metric.Buffer
	for range 2 {
		dst.Reset()
		err := c.Collect(t.Context(), time.UnixMilli(0), &dst)
		if err != nil && !strings.Contains(err.Error(), file[strings.LastIndexByte(file, '/')+1:]) {
			t.Errorf("error %q does not name the file", err)
		}
		if strings.ToValidUTF8(text, "") == text {
			seriesOf(t, dst.Samples())
		}
	}
}
