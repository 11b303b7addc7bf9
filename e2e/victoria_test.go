package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victoria is VictoriaMetrics, which answers a request of 2.0 with 204 and
// stores nothing of it.
type victoria struct {
	*process
	t    *testing.T
	addr string
}

func startVictoria(t *testing.T) *victoria {
	v := &victoria{t: t, addr: freePort(t)}
	v.process = start(t, need(t, "victoria-metrics", "victoria-metrics"), "-httpListenAddr="+v.addr, "-storageDataPath="+t.TempDir(),
		"-retentionPeriod=1", "-loggerLevel=WARN", "-memory.allowedBytes=64MB")
	ready(t, "http://"+v.addr+"/health")
	return v
}

// raw returns all that it has of the test, like prometheus.raw.
func (v *victoria) raw() map[string]map[string][]point {
	v.t.Helper()
	fetch(v.t, "http://"+v.addr+"/internal/force_flush") // what is in memory becomes visible
	text := fetch(v.t, "http://"+v.addr+"/api/v1/export?match[]="+url.QueryEscape(`{site="e2e"}`))
	ways := make(map[string]map[string][]point)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var one struct {
			Metric     map[string]string
			Values     []*float64
			Timestamps []int64
		}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			v.t.Fatalf("export: %v: %s", err, lines.Bytes())
		}
		way := one.Metric["via"]
		delete(one.Metric, "via")
		if ways[way] == nil {
			ways[way] = make(map[string][]point)
		}
		points := make([]point, 0, len(one.Values))
		for i, value := range one.Values {
			if value == nil { // a stale marker: other NaNs are not stored
				points = append(points, point{one.Timestamps[i], staleNaN})
				continue
			}
			points = append(points, pointOf(one.Timestamps[i], *value))
		}
		ways[way][key(one.Metric)] = points
	}
	return ways
}

// VictoriaMetrics with auto has every sample: the only request of 2.0 comes
// again as 1.0, and a restart remembers. Where 2.0 is demanded, all is kept
// until the configuration allows 1.0.
func TestVictoriaMetricsHasEverySample(t *testing.T) {
	reference := startPrometheus2(t) // before Parallel: it may have to be built
	t.Parallel()
	vm := startVictoria(t)
	auto, fixed := newRelay(t, vm.addr), newRelay(t, vm.addr)
	truth := way{"truth", "http://" + reference.addr, message2, ""}
	dir := t.TempDir()
	config := ways(t, dir, "", truth, way{"auto", auto.URL, "auto", ""}, way{"fixed", fixed.URL, message2, "fixed"})
	agent := start(t, binary, "run", "--config.file="+config)
	vm.has(4, time.Now(), "")

	agent.stop(t, syscall.SIGTERM, 15*time.Second)
	agent = start(t, binary, "run", "--config.file="+config)
	vm.has(4, time.Now(), "")
	held := last(t, reference, `nodepush_receiver_held{receiver="fixed"}`)
	if stored := len(vm.raw()["fixed"]); held != 1 || stored != 0 {
		t.Errorf("2.0 only: held is %g, %d series stored; want 1 and none", held, stored)
	}
	one, two, _ := fixed.count()
	if one != 0 || two == 0 {
		t.Errorf("2.0 only: %d requests of 1.0 and %d of 2.0", one, two)
	}

	ways(t, dir, "collectors: {loadavg: {enabled: false}}", truth,
		way{"auto", auto.URL, "auto", ""}, way{"fixed", fixed.URL, "auto", "fixed"})
	agent.Process.Signal(syscall.SIGHUP)
	reference.ends("node_load1", "")
	vm.ends("node_load1", "", "fixed")
	agent.stop(t, syscall.SIGTERM, 15*time.Second)

	want, got := reference.raw()[""], vm.raw()
	same(t, "auto", decimal(got[""]), decimal(want))
	same(t, "2.0 only, then auto", decimal(got["fixed"]), decimal(want))
	if one, two, ordered := auto.count(); two != 1 || !ordered || one < 6 {
		t.Errorf("auto: %d requests of 1.0 and %d of 2.0, 2.0 first: %t; want many, 1, true", one, two, ordered)
	}
	if after1, after2, _ := fixed.count(); after2-two < 1 || after1 == 0 {
		t.Errorf("2.0 only, then auto: %d requests of 2.0 and %d of 1.0 since; want some of both", after2-two, after1)
	}
	checkDropped(t, want)
}

// checkDropped wants no sample counted as dropped.
func checkDropped(t *testing.T, series map[string][]point) {
	t.Helper()
	found := 0
	for id, points := range series {
		if !strings.HasPrefix(id, "nodepush_dropped_samples_total") {
			continue
		}
		found++
		for _, p := range points {
			if p.bits != staleNaN && p.value() != 0 {
				t.Errorf("%s is %g", id, p.value())
				break
			}
		}
	}
	if found == 0 {
		t.Error("there is no nodepush_dropped_samples_total")
	}
}

// last returns the newest value of a series, given as Prometheus writes it.
func last(t *testing.T, p *prometheus, id string) float64 {
	t.Helper()
	points := p.raw()[""][id]
	if len(points) == 0 {
		t.Fatalf("there is no %s", id)
	}
	return points[len(points)-1].value()
}

// decimal rounds values to 12 digits: VictoriaMetrics keeps decimal numbers.
func decimal(series map[string][]point) map[string][]point {
	for _, points := range series {
		for i, p := range points {
			if v := p.value(); v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0) {
				scale := math.Pow(10, 11-math.Floor(math.Log10(math.Abs(v))))
				points[i] = pointOf(p.at, math.Round(v*scale)/scale)
			}
		}
	}
	return series
}

func (v *victoria) has(n int, since time.Time, way string) {
	v.t.Helper()
	eventually(v.t, 30*time.Second, fmt.Sprintf("%d rounds", n), func() error {
		fresh := slices.DeleteFunc(v.raw()[way]["node_load1"], func(one point) bool { return one.at < since.UnixMilli() })
		if len(fresh) < n {
			return fmt.Errorf("%d rounds since %s", len(fresh), since)
		}
		return nil
	})
}

func (v *victoria) ends(name string, names ...string) {
	v.t.Helper()
	eventually(v.t, 30*time.Second, "stale "+name, func() error {
		found := v.raw()
		for _, way := range names {
			if points := found[way][name]; len(points) == 0 || points[len(points)-1].bits != staleNaN {
				return fmt.Errorf("way %q: no stale marker after %d samples", way, len(points))
			}
		}
		return nil
	})
}
