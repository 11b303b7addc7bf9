package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// prometheus is a remote-write receiver: Debian's Prometheus, or prometheus2.
type prometheus struct {
	*process
	t       *testing.T
	addr    string
	command []string
	probe   string // path that answers 200 when it is ready
}

// startPrometheus starts Debian's Prometheus, which knows 1.0 only.
func startPrometheus(t *testing.T) *prometheus {
	dir, addr := t.TempDir(), freePort(t)
	p := &prometheus{t: t, addr: addr, probe: "/-/ready", command: []string{need(t, "prometheus", "prometheus"),
		"--config.file=" + write(t, filepath.Join(dir, "prometheus.yml"), "global: {scrape_interval: 1h}\n"),
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + addr, "--web.enable-remote-write-receiver", "--log.level=warn"}}
	p.run()
	return p
}

// run starts the program, again after a death on the data it left.
func (p *prometheus) run() {
	p.process = start(p.t, p.command[0], p.command[1:]...)
	ready(p.t, "http://"+p.addr+p.probe)
}

type series struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"`
}

// at returns the times and values of the series' samples.
func (s series) at() (times, values []float64) {
	for _, v := range s.Values {
		text, _ := v[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			value = math.NaN()
		}
		t, _ := v[0].(float64)
		times, values = append(times, t), append(values, value)
	}
	return times, values
}

// query runs an instant query for a range vector: the raw samples.
func (p *prometheus) query(expr string) []series {
	p.t.Helper()
	res, err := http.Get("http://" + p.addr + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		p.t.Fatalf("query %s: %v", expr, err)
	}
	defer res.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []series }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Error != "" {
		p.t.Fatalf("query %s: %v %s", expr, err, answer.Error)
	}
	return answer.Data.Result
}

// own adds up the series of one of Prometheus' own metrics that contain text.
func (p *prometheus) own(name, text string) (sum float64) {
	p.t.Helper()
	found := false
	for line := range strings.Lines(string(fetch(p.t, "http://"+p.addr+"/metrics"))) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); base != name {
			continue
		}
		found = true
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		if strings.Contains(series, text) {
			sum += v
		}
	}
	if !found {
		p.t.Fatalf("Prometheus has no metric %s", name)
	}
	return sum
}

// key is a series' identity without what the agent adds for its source; an
// empty label is none.
func key(labels map[string]string) string {
	names := make(model.Metric, len(labels))
	for name, value := range labels {
		if value != "" && name != "job" && name != "instance" && name != "site" {
			names[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	return names.String()
}

// once returns every series that `nodepush once` prints, with its value.
func once(t testing.TB, args ...string) map[string]float64 {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"once"}, args...)...).Output()
	if err != nil {
		t.Fatalf("nodepush once: %v", err)
	}
	return parseText(t, out)
}

// parseText reads the text format into series and values.
func parseText(t testing.TB, text []byte) map[string]float64 {
	t.Helper()
	found := make(map[string]float64)
	for _, family := range families(t, text) {
		maps.Copy(found, values(t, family))
	}
	return found
}

func agentConfig(t *testing.T, dir, target string) string {
	return write(t, filepath.Join(dir, "nodepush.yaml"), fmt.Sprintf(`
global: {scrape_interval: 1s, external_labels: {site: e2e}, instance: edge-1}
remote_write:
- url: http://%s/api/v1/write
  name: prometheus
  queue_config: {batch_send_deadline: 2s, min_backoff: 200ms, max_backoff: 2s}
wal: {dir: %s}
`, target, filepath.Join(dir, "state", "wal")))
}

// The main promise on the main path: every series that `once` shows is in a
// real Prometheus without a gap; and 30 s without the receiver, with the agent
// killed in the middle, cost only the rounds in which there was no agent.
func TestPrometheusHasEverySample(t *testing.T) { // not parallel: where others take the CPUs, rounds are late
	const quiet = 2 * time.Minute
	p := startPrometheus(t)
	dir := t.TempDir()
	config := agentConfig(t, dir, p.addr)
	agent := start(t, binary, "run", "--config.file="+config)
	eventually(t, 20*time.Second, "first samples", func() error {
		if len(p.query(`node_load1`)) == 0 {
			return fmt.Errorf("no node_load1")
		}
		return nil
	})

	time.Sleep(quiet) // what is measured is two minutes of real time
	shown := once(t, "--config.file="+config)
	stored := p.samples(t, int(quiet.Seconds()))
	for name := range shown {
		times, ok := stored[name]
		if !ok {
			t.Errorf("Prometheus lacks %s", name)
			continue
		}
		if n, gap := len(times), widest(times, 1.5); float64(n) < quiet.Seconds()-4 || gap > 0 {
			t.Errorf("%s: %d samples in %s, widest gap %.2f s", name, n, quiet, gap)
		}
	}
	t.Logf("%d series of once found in Prometheus (%d stored), %s at 1 s without a gap", len(shown), len(stored), quiet)

	p.stop(t, syscall.SIGKILL, 5*time.Second)
	died := time.Now()
	time.Sleep(15 * time.Second)
	killed := time.Now()
	agent.stop(t, syscall.SIGKILL, 5*time.Second)
	agent = start(t, binary, "run", "--config.file="+config)
	time.Sleep(time.Until(died.Add(30 * time.Second)))
	p.run()
	eventually(t, 60*time.Second, "backlog delivered", func() error {
		for name, times := range p.samples(t, 10) {
			if strings.HasPrefix(name, "node_load1") && float64(time.Now().UnixMilli())/1000-times[len(times)-1] < 5 {
				return nil
			}
		}
		return fmt.Errorf("node_load1 is not fresh")
	})
	holes := 0
	for name, times := range p.samples(t, int(time.Since(died).Seconds())+20) {
		if _, ok := shown[name]; !ok {
			continue
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap > 1.5 {
				holes++
				if at := time.UnixMilli(int64(times[i-1] * 1000)); gap > 4 || at.Before(killed.Add(-3*time.Second)) || at.After(killed.Add(3*time.Second)) {
					t.Errorf("%s: %.2f s without a sample after %s, but the agent was only down at %s", name, gap, at, killed)
				}
			} else if gap <= 0 {
				t.Errorf("%s: sample %d is not later than the one before", name, i)
			}
		}
	}
	if n := p.own("prometheus_tsdb_out_of_order_samples_total", ""); n != 0 {
		t.Errorf("Prometheus saw %g samples out of order", n)
	}
	if n := p.own("prometheus_http_requests_total", `code="400",handler="/api/v1/write"`); n != 0 {
		t.Errorf("Prometheus refused %g requests", n)
	}
	t.Logf("30 s of receiver death with a kill -9: %d series had a hole, each only where the agent was down", holes)
	agent.stop(t, syscall.SIGTERM, 11*time.Second)
	if agent.err != nil {
		t.Errorf("after SIGTERM the agent ended with %v", agent.err)
	}
}

// samples returns the times of all samples of the last seconds, by series.
func (p *prometheus) samples(t *testing.T, seconds int) map[string][]float64 {
	t.Helper()
	found := make(map[string][]float64)
	for _, s := range p.query(fmt.Sprintf(`{site="e2e"}[%ds]`, seconds)) {
		if s.Metric["job"] != "node" || s.Metric["instance"] != "edge-1" {
			t.Fatalf("series with a foreign identity: %v", s.Metric)
		}
		times, _ := s.at()
		found[key(s.Metric)] = times
	}
	return found
}

// widest returns the widest distance between neighbours that is more than
// limit, 0 if there is none.
func widest(times []float64, limit float64) float64 {
	wide := 0.0
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > limit {
			wide = max(wide, gap)
		}
	}
	return wide
}
