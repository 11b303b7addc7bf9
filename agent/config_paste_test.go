package agent

import (
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
	"nodepush/writer"
)

// pasted says of each file in testdata/config/paste whether it loads, or by
// which line and key it is refused. What it is warned of stands in the file.
var pasted = map[string]string{
	"aws":             "3: remote_write[0].sigv4: ",
	"azure":           "3: remote_write[0].azuread: ",
	"cortex":          "",
	"defaults":        "",
	"google":          "3: remote_write[0].google_iam: ",
	"grafana-cloud":   "",
	"mimir":           "",
	"oauth2":          "",
	"prometheus-v2":   "",
	"prometheus3":     "11: otlp: ",
	"proxy":           "",
	"queue":           "",
	"relabel":         "",
	"thanos-mtls":     "",
	"victoriametrics": "",
}

// Each file is refused for one reason at most, and says every word of what is
// reported: TestLoadConfigReportsEveryLine compares it.
func TestPastedShapes(t *testing.T) {
	files, err := filepath.Glob("testdata/config/paste/*.yaml")
	if err != nil || len(files) != len(pasted) {
		t.Fatalf("%d files, want those of %d shapes: %v", len(files), len(pasted), err)
	}
	for name, refused := range pasted {
		file := "testdata/config/paste/" + name + ".yaml"
		_, _, err := LoadConfig(file)
		switch {
		case refused == "" && err != nil:
			t.Errorf("%s: %v, want it to load", name, err)
		case refused != "" && (err == nil || !strings.HasPrefix(err.Error(), file+":"+refused) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want only FILE:%s…", name, err, refused)
		}
		for _, r := range expectedRemarks(t, file) {
			if r.prefix {
				t.Errorf("%s:%d expects only the beginning of what is reported", file, r.line)
			}
		}
	}
}

// loadPasted loads a configuration that people have for Prometheus.
func loadPasted(t *testing.T, name string) (*Config, writer.Receiver) {
	t.Helper()
	c, _, err := LoadConfig("testdata/config/paste/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c, c.Writer.Receivers[0]
}

func wantSame(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %#v, want %#v", what, got, want)
	}
}

func TestPastedMimir(t *testing.T) {
	c, r := loadPasted(t, "mimir")
	wantSame(t, "labels", c.ExternalLabels, []metric.Label{{Name: "__replica__", Value: "replica-0"}, {Name: "cluster", Value: "eu-west"}})
	wantSame(t, "interval", [2]time.Duration{c.Interval, c.Timeout}, [2]time.Duration{15 * time.Second, 10 * time.Second})
	wantSame(t, "headers", r.Headers, map[string]string{"X-Scope-Orgid": "team-a"})
	wantSame(t, "url", r.URL, "http://mimir-nginx.mimir.svc:80/api/v1/push")
	wantSame(t, "timeout", r.Timeout, 30*time.Second)
}

func TestPastedGrafanaCloud(t *testing.T) {
	_, r := loadPasted(t, "grafana-cloud")
	wantSame(t, "basic_auth", *r.HTTP.BasicAuth, config.BasicAuth{Username: "123456", Password: "glc_eyJvIjoiMSIsIm4iOiJ0ZXN0In0="})
}

func TestPastedThanos(t *testing.T) {
	_, r := loadPasted(t, "thanos-mtls")
	wantSame(t, "name", r.Name, "thanos")
	wantSame(t, "headers", r.Headers, map[string]string{"Thanos-Tenant": "edge"})
	wantSame(t, "tls_config", r.HTTP.TLSConfig, config.TLSConfig{
		CAFile: "/nonexistent/ca.crt", CertFile: "/nonexistent/tls.crt", KeyFile: "/nonexistent/tls.key",
		ServerName: "thanos-receive", MinVersion: config.TLSVersions["TLS13"],
	})
	wantSame(t, "redirects, http2", [2]bool{r.HTTP.FollowRedirects, r.HTTP.EnableHTTP2}, [2]bool{false, true})
}

func TestPastedQueue(t *testing.T) {
	_, r := loadPasted(t, "queue")
	wantSame(t, "max_samples_per_send", r.MaxSamplesPerSend, 2000)
	wantSame(t, "durations",
		[]time.Duration{r.BatchSendDeadline, r.MinBackoff, r.MaxBackoff, r.SampleAgeLimit},
		[]time.Duration{5 * time.Second, 30 * time.Millisecond, 5 * time.Second, 36 * time.Hour})
}

func TestPastedMessages(t *testing.T) {
	message := func(name string, i int) (writer.Message, writer.Metadata) {
		t.Helper()
		c, _ := loadPasted(t, name)
		r := c.Writer.Receivers[i]
		return r.Message, r.Metadata
	}
	for _, c := range []struct {
		name     string
		receiver int
		message  writer.Message
		metadata writer.Metadata
	}{
		{"mimir", 0, writer.MessageAuto, writer.Metadata{Send: false, Interval: time.Minute, MaxSamples: 2000}},
		{"queue", 0, writer.MessageAuto, writer.Metadata{Send: false, Interval: time.Minute, MaxSamples: 500}},
		{"defaults", 0, writer.Message1, writer.Metadata{Send: true, Interval: time.Minute, MaxSamples: 2000}},
		{"prometheus-v2", 0, writer.Message2, writer.Metadata{Send: true, Interval: time.Minute, MaxSamples: 2000}},
		{"prometheus-v2", 1, writer.MessageAuto, writer.Metadata{Send: true, Interval: 30 * time.Second, MaxSamples: 500}},
	} {
		message, metadata := message(c.name, c.receiver)
		if message != c.message || metadata != c.metadata {
			t.Errorf("%s[%d] = %v, %+v, want %v, %+v", c.name, c.receiver, message, metadata, c.message, c.metadata)
		}
	}
}

func TestPastedCortex(t *testing.T) {
	_, r := loadPasted(t, "cortex")
	wantSame(t, "url", r.URL, "http://cortex-nginx.cortex.svc/api/prom/push")
	wantSame(t, "headers", r.Headers, map[string]string{"X-Scope-Orgid": "42"})
	wantSame(t, "authorization", *r.HTTP.Authorization, config.Authorization{Type: "Bearer", Credentials: "s3cret"})
	wantSame(t, "max_samples_per_send", r.MaxSamplesPerSend, 1000)
}

func TestPastedRelabel(t *testing.T) {
	_, r := loadPasted(t, "relabel")
	lb := labels.NewBuilder(labels.FromStrings("__name__", "node_cpu_seconds_total", "instance", "gw-1:9100", "image", "x", "a", "1", "b", "2"))
	if !relabel.ProcessBuilder(lb, r.WriteRelabel...) {
		t.Error("node_cpu_seconds_total is dropped, want kept")
	}
	wantSame(t, "labels", lb.Labels().String(), `{__name__="node_cpu_seconds_total", a="1", b="2", host="gw-1", instance="gw-1:9100", shard="3", tier="edge"}`)
	lb = labels.NewBuilder(labels.FromStrings("__name__", "go_goroutines"))
	if relabel.ProcessBuilder(lb, r.WriteRelabel...) {
		t.Error("go_goroutines is kept, want dropped")
	}
}

// A key with nothing behind it is empty in Prometheus' rules, not the default.
func TestPastedRelabelNull(t *testing.T) {
	c, _, err := loadText(t, "remote_write:\n- url: http://a/\n  write_relabel_configs:\n  - target_label: a\n    separator:\n    replacement:\n    regex:\n  - {target_label: a}\n")
	if err != nil {
		t.Fatal(err)
	}
	empty, standard := c.Writer.Receivers[0].WriteRelabel[0], c.Writer.Receivers[0].WriteRelabel[1]
	wantSame(t, "null", [3]string{empty.Separator, empty.Replacement, empty.Regex.String()}, [3]string{"", "", ""})
	wantSame(t, "absent", [3]string{standard.Separator, standard.Replacement, standard.Regex.String()}, [3]string{";", "$1", "(.*)"})
}

func TestPastedOAuth2(t *testing.T) {
	_, r := loadPasted(t, "oauth2")
	wantSame(t, "oauth2", *r.HTTP.OAuth2, config.OAuth2{
		ClientID: "prometheus", ClientSecretFile: "testdata/config/paste/token",
		TokenURL:       "https://sso.example/realms/main/protocol/openid-connect/token",
		Scopes:         []string{"openid", "metrics"},
		EndpointParams: map[string]string{"audience": "metrics"},
		TLSConfig:      config.TLSConfig{InsecureSkipVerify: true},
	})
}

func TestPastedProxy(t *testing.T) {
	c, r := loadPasted(t, "proxy")
	req, _ := http.NewRequest(http.MethodPost, r.URL, nil)
	got, err := r.HTTP.Proxy()(req)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "proxy", got, &url.URL{Scheme: "http", User: url.UserPassword("user", "s3cret"), Host: "proxy.corp.example:3128"})
	wantSame(t, "proxy header", r.HTTP.GetProxyConnectHeader(), http.Header{"Proxy-Authorization": {"Basic czNjcmV0"}})
	wantSame(t, "authorization", *r.HTTP.Authorization, config.Authorization{Type: "Bearer", CredentialsFile: "testdata/config/paste/token"})
	second := c.Writer.Receivers[1]
	wantSame(t, "from environment", second.HTTP.ProxyFromEnvironment, true)
	wantSame(t, "bearer token", *second.HTTP.Authorization, config.Authorization{Type: "Bearer", CredentialsFile: "testdata/config/paste/token"})
}

func TestPastedVictoriaMetrics(t *testing.T) {
	c, r := loadPasted(t, "victoriametrics")
	second := c.Writer.Receivers[1]
	wantSame(t, "tenant's url", second.URL, "http://vminsert:8480/insert/42:7/prometheus/api/v1/write")
	wantSame(t, "names differ", second.Name != r.Name, true)
	wantSame(t, "url", r.URL, "http://vminsert:8480/insert/0/prometheus/api/v1/write?extra_label=site=7")
	wantSame(t, "header", r.HTTP.HTTPHeaders.Headers["X-Token"].Files, []string{"testdata/config/paste/token"})
}

// What a checked configuration holds must make a client: the writer does so.
func TestPastedMakesClients(t *testing.T) {
	for _, name := range []string{"mimir", "grafana-cloud", "queue", "relabel", "oauth2", "proxy", "victoriametrics", "cortex", "defaults", "prometheus-v2"} {
		_, r := loadPasted(t, name)
		if _, err := config.NewClientFromConfig(r.HTTP, "test"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
