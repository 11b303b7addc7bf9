package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"nodepush/collector"
)

func TestExpand(t *testing.T) {
	e := expander{
		func(name string) (string, bool) {
			return map[string]string{"A": "x", "EMPTY": "", "B_2": "${A}"}[name], name != "NONE"
		},
		func() (string, error) { return "id", nil },
	}
	for _, c := range []struct{ in, want, err string }{
		{"", "", ""},
		{"plain", "plain", ""},
		{"${A}", "x", ""},
		{"a${A}b${A}c", "axbxc", ""},
		{"${EMPTY}", "", ""},
		{"${B_2}", "${A}", ""}, // once, not again
		{"${machine_id}-1", "id-1", ""},
		{"$$", "$", ""},
		{"$${A}", "${A}", ""},
		{"$$${A}", "$x", ""},
		{"100$", "", "a $ must begin"},
		{"$A", "", "a $ must begin"},
		{"${A", "", "a $ must begin"},
		{"${}", "", "a $ must begin"},
		{"${2A}", "", "a $ must begin"},
		{"${A-B}", "", "a $ must begin"},
		{"${NONE}", "", "the environment variable NONE is not set"},
	} {
		got, err := e.expand(c.in)
		if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("expand(%q) = %q, %v, want %q, %q", c.in, got, err, c.want, c.err)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("${A}$$${machine_id}")
	e := expander{
		func(name string) (string, bool) { return "", true },
		func() (string, error) { return "", nil },
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := e.expand(strings.ReplaceAll(s, "$", "$$"))
		if got != s || err != nil {
			t.Errorf("expand(quoted %q) = %q, %v", s, got, err)
		}
		if got, _ := e.expand(s); len(got) > len(s) {
			t.Errorf("expand(%q) = %q", s, got)
		}
	})
}

// Variables and the machine id reach each place that may have them, and no other.
func TestExpansionPlaces(t *testing.T) {
	t.Setenv("V", "value")
	root := t.TempDir()
	const id = "0123456789abcdef0123456789abcdef"
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte(id+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "c.yaml")
	err := os.WriteFile(file, []byte(`
global: {instance: "${machine_id}", external_labels: {a: "${V}"}}
wal: {dir: "/${V}"}
remote_write:
- url: http://${V}/
  name: ${V}
  headers: {X-A: "${V}"}
  basic_auth: {username: "${V}", password: "${V}"}
  tls_config: {ca_file: "${V}.pem"}
  write_relabel_configs: [{source_labels: [a], regex: "(.*)", target_label: "${1}", replacement: "${V}"}]
  http_headers: {X-B: {values: ["${V}"], secrets: ["${V}"]}}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := LoadConfigBelow(file, root)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Writer.Receivers[0]
	h := r.HTTP.HTTPHeaders.Headers["X-B"]
	for _, p := range []struct{ what, got, want string }{
		{"instance", c.Instance, id},
		{"external label", c.ExternalLabels[0].Value, "value"},
		{"wal.dir", c.Writer.Dir, "/value"},
		{"url", r.URL, "http://value/"},
		{"name", r.Name, "${V}"},
		{"header", r.Headers["X-A"], "value"},
		{"username", r.HTTP.BasicAuth.Username, "value"},
		{"password", string(r.HTTP.BasicAuth.Password), "${V}"},
		{"ca_file", r.HTTP.TLSConfig.CAFile, filepath.Join(root, "value.pem")},
		{"target_label", r.WriteRelabel[0].TargetLabel, "${1}"},
		{"replacement", r.WriteRelabel[0].Replacement, "${V}"},
		{"value", h.Values[0], "value"},
		{"secret", string(h.Secrets[0]), "${V}"},
	} {
		if p.got != p.want {
			t.Errorf("%s = %q, want %q", p.what, p.got, p.want)
		}
	}
	var said []string
	for _, w := range warnings {
		said = append(said, w.Key)
	}
	wantSame(t, "warned of", said, []string{"remote_write[0].name", "remote_write[0].basic_auth.password", "remote_write[0].tls_config.ca_file", "remote_write[0].http_headers.X-B.secrets[0]"})
}

func TestMachineID(t *testing.T) {
	for _, c := range []struct{ name, content, want, err string }{
		{"good", "0123456789abcdef0123456789abcdef\n", "0123456789abcdef0123456789abcdef", ""},
		{"first boot", "uninitialized\n", "", "does not hold 32 hexadecimal digits"},
		{"empty", "", "", "does not hold 32 hexadecimal digits"},
		{"upper case", "0123456789ABCDEF0123456789ABCDEF", "", "does not hold 32 hexadecimal digits"},
		{"absent", "-", "", "no such file"},
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if c.content != "-" {
			if err := os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := machineID(root)
		if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: machineID = %q, %v, want %q, %q", c.name, got, err, c.want, c.err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"17", 17, true}, {"1B", 1, true},
		{"1KB", 1 << 10, true}, {"1KiB", 1 << 10, true}, {"256MiB", 256 << 20, true}, {"3GB", 3 << 30, true}, {"16TiB", 16 << 40, true},
		{"17TiB", maxWALSize + 1, true}, {"9007199254740991TiB", maxWALSize + 1, true},
		{"", 0, false}, {"MiB", 0, false}, {"-1MiB", 0, false}, {"1.5GiB", 0, false}, {"1 GiB", 0, false}, {"1mb", 0, false},
		{"1BB", 0, false}, {"1iB", 0, false}, {"1MiBB", 0, false}, {"1PiB", 0, false}, {"99999999999999999999", 0, false}, {"0x10", 0, false},
	} {
		if got, ok := parseSize(c.in); got != c.want || ok != c.ok {
			t.Errorf("parseSize(%q) = %d, %t, want %d, %t", c.in, got, ok, c.want, c.ok)
		}
	}
}

// The cursor of a receiver must survive whatever is no other receiver.
func TestDefaultName(t *testing.T) {
	name := func(text string) string {
		t.Helper()
		c, _, err := loadText(t, "remote_write: [{"+text+"}]\n")
		if err != nil {
			t.Fatal(err)
		}
		return c.Writer.Receivers[0].Name
	}
	base := name("url: 'https://Mimir.example/api/v1/push'")
	if !strings.HasPrefix(base, "mimir.example-") || len(base) != len("mimir.example-")+8 {
		t.Errorf("name = %q, want mimir.example- and 8 digits", base)
	}
	for _, text := range []string{
		"url: 'http://mimir.example/api/v1/push'",
		"url: 'https://mimir.example:443/api/v1/push'",
		"url: 'https://user:hunter2@mimir.example/api/v1/push?token=hunter2'",
		"url: 'https://mimir.example/api/v1/push', remote_timeout: 1s, queue_config: {max_backoff: 1m}, enable_http2: true",
		"url: 'https://mimir.example/api/v1/push', basic_auth: {username: a, password: hunter2}, headers: {X-Other: hunter2}",
		"url: 'https://mimir.example/api/v1/push', write_relabel_configs: [{target_label: a}], on_endpoint_error: drop",
	} {
		if got := name(text); got != base {
			t.Errorf("%s: name = %q, want %q", text, got, base)
		}
	}
	seen := map[string]string{base: "the plain one"}
	for _, text := range []string{
		"url: 'https://other.example/api/v1/push'",
		"url: 'https://mimir.example:8080/api/v1/push'",
		"url: 'https://mimir.example/api/v1/write'",
		"url: 'https://mimir.example/api/v1/push', headers: {x-scope-orgid: a}",
		"url: 'https://mimir.example/api/v1/push', headers: {X-Scope-OrgID: b}",
		"url: 'https://mimir.example/api/v1/push', headers: {THANOS-TENANT: a}",
	} {
		got := name(text)
		if seen[got] != "" {
			t.Errorf("%s: name = %q, as %s", text, got, seen[got])
		}
		seen[got] = text
	}
	inClear := name("url: 'https://mimir.example/api/v1/push', http_headers: {X-Scope-OrgID: {values: [a]}}")
	wantSame(t, "tenant in http_headers", seen[inClear], "url: 'https://mimir.example/api/v1/push', headers: {x-scope-orgid: a}")
}

func TestIntervalsAndCollectors(t *testing.T) {
	all := collector.Names()
	for _, c := range []struct {
		name, text        string
		interval, timeout time.Duration
		collectors        []CollectorConfig // nil: every one, at interval
		err               string
	}{
		{"defaults", "", 15 * time.Second, 10 * time.Second, nil, ""},
		{"short interval", "global: {scrape_interval: 5s}", 5 * time.Second, 5 * time.Second, nil, ""},
		{"long interval", "global: {scrape_interval: 1m, scrape_timeout: 50s}", time.Minute, 50 * time.Second, nil, ""},
		{"timeout", "global: {scrape_timeout: 16s}", 0, 0, nil, "F:1: global.scrape_timeout: 16s is longer than global.scrape_interval (15s)"},
		{"none", "collectors: {profile: none, meminfo: , cpu: {interval: 1m}, netdev: {enabled: false}}", 15 * time.Second, 10 * time.Second,
			[]CollectorConfig{{"cpu", time.Minute}, {"meminfo", 15 * time.Second}}, ""},
		{"order does not matter", "collectors: {cpu: {interval: 5s}, profile: none}\nglobal: {scrape_interval: 30s}", 30 * time.Second, 5 * time.Second,
			[]CollectorConfig{{"cpu", 5 * time.Second}}, ""},
		{"one off", "collectors: {" + all[0] + ": {enabled: false}}", 15 * time.Second, 10 * time.Second, []CollectorConfig{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := loadText(t, c.text+"\n"+receiverLine)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "interval", got.Interval, c.interval)
			wantSame(t, "timeout", got.Timeout, c.timeout)
			if len(c.collectors) == 0 {
				for _, name := range all[len(all)-len(got.Collectors):] {
					c.collectors = append(c.collectors, CollectorConfig{name, c.interval})
				}
				skipped := map[string]int{"one off": 1}[c.name]
				wantSame(t, "number of collectors", len(got.Collectors), len(all)-skipped)
			}
			wantSame(t, "collectors", got.Collectors, c.collectors)
		})
	}
}

func TestCollectorOptionsAreRead(t *testing.T) {
	c, _, err := loadText(t, `
collectors:
  job: host
  cpu: {guest: false, info: yes}
  filesystem: {mount_points_include: "^/$", mount_timeout: 2s}
  netdev: {device_exclude: ""}
`+receiverLine)
	if err != nil {
		t.Fatal(err)
	}
	no, root, empty := false, "^/$", ""
	wantSame(t, "job", c.Job, "host")
	wantSame(t, "options", c.Options, collector.Options{
		CPU:        collector.CPUOptions{Guest: &no, Info: true},
		Filesystem: collector.FilesystemOptions{MountPointsInclude: &root, MountTimeout: 2 * time.Second},
		Netdev:     collector.NetdevOptions{DeviceExclude: &empty},
	})
}

// Options are judged even where the collector is off, each in its line.
func TestCollectorOptionsAreJudged(t *testing.T) {
	_, _, err := loadText(t, `collectors:
  filesystem:
    enabled: false
    mount_points_exclude: "("
    fs_types_include: "["
  netdev: {device_include: a, device_exclude: b}
`+receiverLine)
	if err == nil {
		t.Fatal("no error")
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		at, _, _ := strings.Cut(line, ": ")
		_, key, _ := strings.Cut(line, ": ")
		key, _, _ = strings.Cut(key, ": ")
		got = append(got, at+" "+key)
	}
	wantSame(t, "problems", got, []string{"F:4 collectors.filesystem.mount_points_exclude", "F:5 collectors.filesystem.fs_types_include", "F:6 collectors.netdev.device_include"})
}

// The kinds of options that collectors have, and may have one day.
func TestReadOption(t *testing.T) {
	type options struct {
		Flag     bool
		Number   int
		Maybe    *int
		Text     *string
		List     []string
		Duration time.Duration
	}
	one, text := 1, ""
	for _, c := range []struct {
		field, yaml string
		want        options
		problems    int
	}{
		{"Flag", "yes", options{Flag: true}, 0},
		{"Flag", "1", options{}, 1},
		{"Number", "-12", options{Number: -12}, 0},
		{"Number", "1.5", options{}, 1},
		{"Number", "99999999999999999999", options{}, 1},
		{"Maybe", "1", options{Maybe: &one}, 0},
		{"Maybe", "one", options{}, 1},
		{"Text", "''", options{Text: &text}, 0},
		{"Text", "2026-01-01", options{Text: new("2026-01-01")}, 0},
		{"List", "[a, 1]", options{List: []string{"a", "1"}}, 0},
		{"List", "[a, ~, [b]]", options{List: []string{"a"}}, 2},
		{"Duration", "1m", options{Duration: time.Minute}, 0},
		{"Duration", "1", options{}, 1},
	} {
		p := newParser("F", expander{})
		root, _ := p.document([]byte(c.yaml))
		var got options
		readOption(value{p: p, node: root, line: 1}, reflect.ValueOf(&got).Elem().FieldByName(c.field))
		if !reflect.DeepEqual(got, c.want) || len(p.problems) != c.problems {
			t.Errorf("%s: %s: got %+v and %v, want %+v and %d problems", c.field, c.yaml, got, p.problems, c.want, c.problems)
		}
	}
}

func TestDefaultConfig(t *testing.T) {
	want, _, err := loadText(t, receiverLine)
	if err != nil {
		t.Fatal(err)
	}
	want.Writer.Receivers = nil
	wantSame(t, "DefaultConfig", DefaultConfig(), want)
	wantSame(t, "collectors", len(want.Collectors), len(collector.Names()))
	wantSame(t, "job", want.Job, "node")
}

// A list beyond every bound ends with one problem, not with one for each element.
func TestLoadConfigTooMany(t *testing.T) {
	_, _, err := loadText(t, "remote_write: [{url: 'http://a/', oauth2: {scopes: ["+strings.Repeat("a,", maxEntries+10)+"]}}]\n")
	if err == nil || strings.Count(err.Error(), "more than 100000 entries") != 1 {
		t.Errorf("got %.300v", err)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"url", "name", "scrape_interval", "scrape_timeout", "max_size"}
	for in, want := range map[string]string{
		"scrape_intervall": "scrape_interval", "scrap_interval": "scrape_interval", "scrape_itnerval": "scrape_interval", "scrapeinterval": "scrape_interval",
		"max_szie": "max_size", "nmae": "name", "names": "name", "uri": "url", "rl": "", "password": "", "": "", "scrape": "", "hunter2": "",
	} {
		if got := nearest(in, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}
