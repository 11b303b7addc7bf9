package e2e

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The names of the two messages in protobuf_message.
const (
	message1 = "prometheus.WriteRequest"
	message2 = "io.prometheus.write.v2.Request"
)

// way is one receiver in the agent's configuration. All ways but auto mark
// their series with the label via, so that they can share a storage.
type way struct{ name, url, message, via string }

// ways writes a configuration with these receivers; more is added at its top level.
func ways(t *testing.T, dir, more string, list ...way) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: 1s, external_labels: {site: e2e}, instance: edge-1}\nwal: {dir: %s}\n%s\nremote_write:\n", filepath.Join(dir, "wal"), more)
	for _, w := range list {
		fmt.Fprintf(&b, "- {name: %s, url: '%s/api/v1/write', protobuf_message: %s, queue_config: {batch_send_deadline: 500ms, min_backoff: 100ms, max_backoff: 500ms}", w.name, w.url, w.message)
		if w.via != "" {
			fmt.Fprintf(&b, ", write_relabel_configs: [{target_label: via, replacement: %s}]", w.via)
		}
		b.WriteString("}\n")
	}
	return write(t, filepath.Join(dir, "nodepush.yaml"), b.String())
}

// has waits until each way of p has n rounds that are not older than since.
func (p *prometheus) has(n int, since time.Time, names ...string) {
	p.t.Helper()
	eventually(p.t, 30*time.Second, fmt.Sprintf("%d rounds", n), func() error {
		found := p.raw()
		for _, name := range names {
			rounds := found[name]["node_load1"]
			fresh := slices.DeleteFunc(slices.Clone(rounds), func(one point) bool { return one.at < since.UnixMilli() })
			if len(fresh) < n {
				return fmt.Errorf("way %q: %d rounds since %s, %d in all", name, len(fresh), since, len(rounds))
			}
		}
		return nil
	})
}

// die kills the receiver, leaves it away for the time of some rounds and
// starts it again on its data.
func (p *prometheus) die(away time.Duration) {
	p.t.Helper()
	p.stop(p.t, syscall.SIGKILL, 5*time.Second)
	time.Sleep(away)
	p.run()
}

// One agent serves Prometheus' 2.0 handler and Debian's Prometheus, which
// answers 2.0 without storing anything. auto finds the right protocol for
// each, and whatever way the samples went, both have the same ones in the end,
// bit by bit, though each was away for a while.
func TestOneAgentTwoReceivers(t *testing.T) {
	two := startPrometheus2(t) // before Parallel: it may have to be built
	t.Parallel()
	one := startPrometheus(t)
	relay1, relay2, relayFixed1, relayFixed2 := newRelay(t, one.addr), newRelay(t, two.addr), newRelay(t, two.addr), newRelay(t, two.addr)
	list := []way{
		{"auto2", relay2.URL, "auto", ""}, {"auto1", relay1.URL, "auto", ""},
		{"fixed2", relayFixed2.URL, message2, "fixed2"}, {"fixed1", relayFixed1.URL, message1, "fixed1"},
		{"debian1", "http://" + one.addr, message1, "fixed1"},
	}
	dir := t.TempDir()
	config := ways(t, dir, "", list...)
	agent := start(t, binary, "run", "--config.file="+config)
	begin := time.Now()
	two.has(4, begin, "", "fixed1", "fixed2")
	one.has(4, begin, "", "fixed1")

	two.die(4 * time.Second)
	two.has(2, time.Now(), "", "fixed1", "fixed2")
	one.die(4 * time.Second)
	one.has(2, time.Now(), "", "fixed1")
	ways(t, dir, "collectors: {loadavg: {enabled: false}}", list...) // its series end: stale markers
	agent.Process.Signal(syscall.SIGHUP)
	two.ends("node_load1", "", "fixed1", "fixed2")
	one.ends("node_load1", "", "fixed1")
	agent.stop(t, syscall.SIGTERM, 15*time.Second)

	in2, in1 := two.raw(), one.raw()
	want := in2[""]
	checkRounds(t, want, 12)
	for name, got := range map[string]map[string][]point{"fixed 2.0": in2["fixed2"], "fixed 1.0": in2["fixed1"],
		"Debian's, auto": in1[""], "Debian's, fixed 1.0": in1["fixed1"]} {
		same(t, name, got, want)
	}
	for name, check := range map[string]struct {
		relay *relay
		twos  func(one, two int) bool
	}{
		"auto at the 2.0 handler": {relay2, func(one, two int) bool { return one == 0 && two > 5 }},
		"auto at Debian's":        {relay1, func(one, two int) bool { return one > 5 && two == 1 }},
		"fixed 2.0":               {relayFixed2, func(one, two int) bool { return one == 0 && two > 5 }},
		"fixed 1.0":               {relayFixed1, func(one, two int) bool { return one > 5 && two == 0 }},
	} {
		if one, two, ordered := check.relay.count(); !check.twos(one, two) || !ordered {
			t.Errorf("%s: %d requests of 1.0 and %d of 2.0, 2.0 first: %t", name, one, two, ordered)
		} else {
			t.Logf("%s: %d requests of 1.0, %d of 2.0", name, one, two)
		}
	}
	for _, p := range []*prometheus{one, two} {
		if n := p.own("prometheus_tsdb_out_of_order_samples_total", ""); n != 0 {
			t.Errorf("%s saw %g samples out of order", filepath.Base(p.command[0]), n)
		}
	}
	checkCompanions(t, two.seen())
}

// ends waits until the newest sample of a metric is a stale marker, whatever
// way it came.
func (p *prometheus) ends(name string, names ...string) {
	p.t.Helper()
	eventually(p.t, 15*time.Second, "stale "+name, func() error {
		found := p.raw()
		for _, way := range names {
			if points := found[way][name]; len(points) == 0 || points[len(points)-1].bits != staleNaN {
				return fmt.Errorf("way %q: no stale marker after %d samples", way, len(points))
			}
		}
		return nil
	})
}

// checkRounds wants at least n rounds and every one of them, by the number that
// each bears: one that is late on a busy machine is no loss.
func checkRounds(t *testing.T, stored map[string][]point, n int) {
	t.Helper()
	rounds := stored[`nodepush_rounds_total{source="node"}`]
	if len(rounds) < n {
		t.Fatalf("%d rounds, want at least %d", len(rounds), n)
	}
	for i, p := range rounds {
		if got, want := math.Float64frombits(p.bits), math.Float64frombits(rounds[0].bits)+float64(i); got != want {
			t.Fatalf("round %g is where %g should be", got, want)
		}
	}
}

// same wants the same series with the same samples.
func same(t *testing.T, name string, got, want map[string][]point) {
	t.Helper()
	samples, stale, wrong := 0, 0, 0
	for id, points := range want {
		samples += len(points)
		for _, p := range points {
			if p.bits == staleNaN {
				stale++
			}
		}
		if wrong < 5 && !slices.Equal(got[id], points) {
			wrong++
			t.Errorf("%s: %s has %d samples, want %d: %s", name, id, len(got[id]), len(points), difference(got[id], points))
		}
	}
	for id := range got {
		if want[id] == nil {
			t.Errorf("%s: %s should not be there", name, id)
		}
	}
	if len(want) < 100 || stale == 0 {
		t.Errorf("only %d series with %d stale markers compared", len(want), stale)
	}
	t.Logf("%s: %d series, %d samples, %d of them stale markers", name, len(want), samples, stale)
}

// difference names the first sample that is not the same.
func difference(got, want []point) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("sample %d at %d is missing", i, want[i].at)
		case i >= len(want):
			return fmt.Sprintf("sample %d at %d is too many", i, got[i].at)
		case got[i] != want[i]:
			return fmt.Sprintf("sample %d is %d %#x, want %d %#x", i, got[i].at, got[i].bits, want[i].at, want[i].bits)
		}
	}
	return "none"
}

// checkCompanions wants type, unit and start timestamp on what came by 2.0, and
// no help, which was not asked for.
func checkCompanions(t *testing.T, list []companion) {
	t.Helper()
	boot := number(t, "/proc/stat", "btime ") * 1000
	starts, types, helps := make(map[int64]int), make(map[string]int), 0
	for _, c := range list {
		if via := c.Labels["via"]; via != "" && via != "fixed2" {
			t.Fatalf("1.0 brought metadata: %v", c)
		}
		types[c.Type]++
		name := c.Labels["__name__"]
		if c.Help != "" {
			helps++
		}
		if strings.HasPrefix(name, "node_cpu_") && c.Type == "counter" {
			starts[c.Start]++
			if c.Unit != "seconds" || c.Start < boot-2000 || c.Start > boot+2000 {
				t.Errorf("%s: unit %q, start %d; want seconds and the boot at %d", c.Labels, c.Unit, c.Start, boot)
			}
		}
		if c.Type == "gauge" && c.Start != 0 {
			t.Errorf("%s is a gauge and starts at %d", name, c.Start)
		}
	}
	if helps > 0 || types["counter"] < 50 || types["gauge"] < 50 || len(starts) != 1 {
		t.Errorf("%d help texts, types %v, starts of node_cpu_* %v; want none, many and one", helps, types, slices.Collect(maps.Keys(starts)))
	}
	t.Logf("%d series with types %v, counters of the CPUs start at %v", len(list), types, starts)
}
