package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
