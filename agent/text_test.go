package agent

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"nodepush/metric"
)

func TestWriteText(t *testing.T) {
	gauge := &metric.Desc{Name: "b_gauge", Type: metric.Gauge, Help: "With \\ and\nnewline \"quoted\".", Labels: []string{"a", "empty", "c"}}
	counter := &metric.Desc{Name: "a_total", Type: metric.Counter, Help: "Counts."}
	info := &metric.Desc{Name: "c_info", Type: metric.Info}
	summary := []*metric.Desc{
		{Name: "d_seconds", Type: metric.Summary, Help: "Takes.", Labels: []string{"quantile"}},
		{Name: "d_seconds_sum", Family: "d_seconds", Type: metric.Summary},
		{Name: "d_seconds_count", Family: "d_seconds", Type: metric.Summary},
	}
	var b metric.Buffer
	b.Add(summary[0], 0.5, "0.9")
	b.Add(gauge, math.Inf(1), "x\\y", "", "new\nline \"q\"")
	b.Add(counter, 1e21)
	b.Add(summary[1], math.NaN())
	b.Add(gauge, math.Inf(-1), "", "", "")
	b.Add(info, 1)
	b.Add(summary[2], 3)
	b.Add(counter, 0)
	b.Samples()[b.Len()-1].Ext = &metric.Ext{Histogram: []byte{}}
	var out strings.Builder
	if err := writeText(&out, b.Samples()); err != nil {
		t.Fatal(err)
	}
	want := `# HELP a_total Counts.
# TYPE a_total counter
a_total 1e+21
# HELP b_gauge With \\ and\nnewline "quoted".
# TYPE b_gauge gauge
b_gauge{a="x\\y",c="new\nline \"q\""} +Inf
b_gauge -Inf
# HELP c_info 
# TYPE c_info gauge
c_info 1
# HELP d_seconds Takes.
# TYPE d_seconds summary
d_seconds{quantile="0.9"} 0.5
d_seconds_sum NaN
d_seconds_count 3
`
	if out.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", out.String(), want)
	}
}

// once prints what the collectors that work have, names those that do not,
// and shows no label of the service.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, &fake{"good", fine},
			&fake{"bad", func(context.Context, *metric.Buffer) error { return errors.Join(errors.New("one"), errors.New("two")) }},
			&fake{"hangs", func(context.Context, *metric.Buffer) error { <-release; return nil }})
		var out strings.Builder
		err := r.once(r.config, &out)
		close(release)
		if want := "collector bad: one; two\ncollector hangs: not finished within 9s"; err == nil || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		for _, text := range []string{
			`fake_value{collector="good"} 1`, `fake_value{collector="bad"} 1`, "# TYPE node_exporter_build_info gauge",
			`node_scrape_collector_success{collector="good"} 1`, `node_scrape_collector_success{collector="bad"} 0`,
			`node_scrape_collector_duration_seconds{collector="hangs"} 9`,
		} {
			if !strings.Contains(out.String(), text+"\n") {
				t.Errorf("%s is missing in\n%s", text, out.String())
			}
		}
		for _, text := range []string{"up 1", "instance=", "job=", `fake_value{collector="hangs"}`, "nodepush_rounds"} {
			if strings.Contains(out.String(), text) {
				t.Errorf("%s is in\n%s", text, out.String())
			}
		}
	})
}

// brokenPipe is what stdout is after head(1) has seen enough.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

func TestOnceIntoBrokenPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &fake{"good", fine})
		if err := r.once(r.config, brokenPipe{}); err != nil {
			t.Error(err)
		}
	})
}
