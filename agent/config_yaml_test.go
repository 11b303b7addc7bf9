package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const receiverLine = "remote_write: [{url: 'http://localhost/'}]\n"

// Text that is no YAML, or no text at all, is one problem with its exact line.
func TestLoadConfigSyntax(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"first line", "a: b: c\n", "F:1: not valid YAML: mapping values are not allowed"},
		{"indentation", "global:\n  scrape_interval: 15s\n   scrape_timeout: 1s\nwal: {}\n", "F:3: not valid YAML: mapping values"},
		{"less indentation", "global:\n    scrape_interval: 15s\n  scrape_timeout: 1s\nwal: {}\n", "F:3: not valid YAML: did not find expected key"},
		{"tab", "global:\n\tscrape_interval: 15s\n", "F:2: not valid YAML: found character that cannot start any token; indent with spaces"},
		{"tab after a comment", "# one\n# two\n\nglobal:\n  scrape_interval: 15s\n\tscrape_timeout: 1s\n", "F:6: not valid YAML: found"},
		{"unclosed bracket", "wal: {}\nremote_write: [{url: x}\nglobal: {}\n", "F:2: not valid YAML: did not find expected"},
		{"unclosed quote", "wal: {}\nglobal:\n  instance: \"x\n  a: b\n", "F:3: not valid YAML: found unexpected end of stream"},
		{"no colon", "wal: {}\nglobal\nremote_write: []\n", "F:2: not valid YAML: could not find expected ':'"},
		{"unknown alias", "wal: {}\n\nglobal: *nothing\n", "F:3: not valid YAML: an alias without its anchor"},
		{"list in a mapping", "global:\n  scrape_interval: 15s\n- x\n", "F:3: not valid YAML: did not find expected key"},
		{"deep", strings.Repeat("[", 20000), "F:1: not valid YAML: exceeded max depth of 10000"},
		{"last line without end", "wal: {}\nglobal: [", "F:2: not valid YAML: did not find expected node content"},
		{"CRLF", "wal: {}\r\nglobal: x: y\r\n", "F:2: not valid YAML: mapping values"},
		{"Latin-1", "wal: {}\n# caf\xe9\n", "F:2: not UTF-8"},
		{"UTF-16", "\xff\xfew\x00a\x00", "F:1: not UTF-8"},
		{"NUL", "wal: {}\n\nglobal: \x00\n", "F:3: control character 0x00: the file must be plain text"},
		{"escape", "wal: \x1b[0m\n", "F:1: control character 0x1b"},
		{"C1 control", "wal: {}\nglobal: \u0081\n", "F:2: not valid YAML: control characters are not allowed"},
		{"line separator", "wal: {}\n# a\u2028b\n", "F:2: line separator U+2028"},
		{"two documents", receiverLine + "---\nwal: {}\n", "F:2: a second document begins here"},
		{"second document broken", receiverLine + "---\nwal: {}\n---\na: b: c\n", "F:2: a second document begins here"},
		{"list", "- a\n", "F:1: must be a mapping (key: value), not a list"},
		{"empty", "", "F:1: remote_write: at least one receiver is needed"},
		{"comments only", "# nothing\n", "F:1: remote_write: at least one receiver is needed"},
		{"no receivers", "wal: {}\nremote_write: []\n", "F:2: remote_write: at least one receiver is needed"},
		{"null receivers", "wal: {}\nremote_write:\n", "F:1: remote_write: at least one receiver is needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := loadText(t, c.text)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line: %s…", err, c.want)
			}
		})
	}
}

// What YAML allows and editors make of it is no problem.
func TestLoadConfigForms(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"byte order mark", "\ufeff" + receiverLine},
		{"CRLF", "global:\r\n  scrape_interval: 30s\r\n" + receiverLine},
		{"markers", "%YAML 1.1\n---\n" + receiverLine + "...\n"},
		{"no end of line", strings.TrimSpace(receiverLine)},
		{"anchor", "remote_write:\n- &a {url: 'http://a/'}\n- {<<: *a, url: 'http://b/'}\n"},
		{"null blocks", "global:\ncollectors:\nwal:\n" + receiverLine},
		{"null in blocks", "global: {scrape_interval: }\ncollectors: {cpu: , job: ~}\nwal: {dir: null}\nremote_write: [{url: 'http://a/', basic_auth: , headers: , write_relabel_configs: , tls_config: {min_version: }}]\n"},
		{"JSON", `{"global": {"scrape_interval": "30s"}, "remote_write": [{"url": "http://a/", "enable_http2": true}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := loadText(t, c.text); err != nil {
				t.Error(err)
			}
		})
	}
}

// Aliases that stand for a billion entries, or for themselves, end soon.
func TestLoadConfigBombs(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("global: &a0 {external_labels: {a: b}}\n")
	for i := range 30 {
		fmt.Fprintf(&bomb, "x%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	rules := "x: &r [" + strings.TrimSuffix(strings.Repeat("{target_label: a},", 5000), ",") + "]\nremote_write:\n" +
		"- &w {url: 'http://a/', write_relabel_configs: *r}\n" + strings.Repeat("- *w\n", 5000)
	var merges strings.Builder
	merges.WriteString("x0: &m0 {url: a}\n")
	for i := range 30 {
		fmt.Fprintf(&merges, "x%d: &m%d {<<: [*m%d, *m%d]}\n", i+1, i+1, i, i)
	}
	labels := "x: &l {a"
	for i := range 1000 {
		labels += fmt.Sprintf(", a%d", i)
	}
	labels += "}\nglobal: {external_labels: {<<: [" + strings.TrimSuffix(strings.Repeat("*l,", 200), ",") + "]}}\n" + receiverLine
	for _, c := range []struct{ name, text, want string }{
		{"doubling", bomb.String() + "remote_write: *a30\n", "remote_write[0]: must be a mapping"},
		{"rules", rules, "more than 100000 entries"},
		{"labels", labels, "more than 100000 entries"},
		{"merges", merges.String() + "remote_write: [*m30]\n", "<< needs a mapping or a list of mappings, at most 8 deep"},
		{"itself", "remote_write: &a [*a]\n", "remote_write[0]: must be a mapping"},
		{"merged self", "remote_write:\n- &a {<<: *a, url: 'http://a/'}\n", "<< needs a mapping or a list of mappings, at most 8 deep"},
		{"claims", bomb.String() + "remote_write: [{url: 'http://a/', oauth2: {claims: {a: *a30}}}]\n", "claims: must be a mapping that can be written as JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			if _, _, err := loadText(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.500v, want %s", err, c.want)
			}
			if took := time.Since(begin); took > 30*time.Second { // not for ever: other tests may hold the processors
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestLoadConfigFile(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte(receiverLine+strings.Repeat("# comment\n", 2<<20/10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file, want string }{
		{"absent", filepath.Join(dir, "absent.yaml"), ": no such file or directory"},
		{"directory", dir, ": is a directory"},
		{"2 MiB", large, ": the file is larger than 1 MiB"},
	} {
		_, _, err := LoadConfig(c.file)
		if err == nil || err.Error() != c.file+c.want {
			t.Errorf("%s: got %v, want %s%s", c.name, err, c.file, c.want)
		}
	}
}

// A file just below the bound, broken at its end, is judged in good time.
func TestLoadConfigLargeBroken(t *testing.T) {
	text := receiverLine + strings.Repeat("# a comment of some length, as one of a generated file\n", 15000) + "global:\n  a: b: c\n"
	begin := time.Now()
	_, _, err := loadText(t, text)
	if err == nil || !strings.Contains(err.Error(), "not valid YAML") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 60*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzConfig(f *testing.F) {
	files, err := configFiles()
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../config.example.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("remote_write: &a [*a, {<<: *a}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newParser("f.yaml", expander{
			func(name string) (string, bool) { return name, len(name)%2 == 0 },
			func() (string, error) { return "0123456789abcdef0123456789abcdef", nil },
		})
		c := p.parse(data)
		lines := strings.Count(string(data), "\n") + 1
		for _, problem := range p.problems {
			if problem.Line < 1 || problem.Line > lines+strings.Count(string(data), "\r") {
				t.Errorf("line %d of %d: %v", problem.Line, lines, problem)
			}
		}
		if p.err() != nil {
			return
		}
		if c.Timeout > c.Interval || len(c.Writer.Receivers) == 0 || c.Writer.MaxSize < minWALSize || c.Job == "" {
			t.Errorf("accepted: %+v", c)
		}
		for _, r := range c.Writer.Receivers {
			if r.URL == "" || r.Name == "" || r.MaxBackoff < r.MinBackoff {
				t.Errorf("accepted: %+v", r)
			}
		}
	})
}
