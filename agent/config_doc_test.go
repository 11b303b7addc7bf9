package agent

import (
	"encoding/json"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"
	"gopkg.in/yaml.v3"

	"nodepush/collector"
)

const docFile = "../docs/configuration.md"

// keyTable renders a block as docs/configuration.md shows it.
func keyTable(b keyBlock) string {
	var s strings.Builder
	s.WriteString("| key | use | allowed | default | meaning |\n|---|---|---|---|---|\n")
	for _, r := range b.rows {
		typ, def := r.typ, r.def
		if typ == "" {
			typ = "–"
		}
		if def == "" {
			def = "–"
		} else {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&s, "| `%s` | %v | %s | %s | %s |\n", r.name, r.use, typ, def, r.text)
	}
	return s.String()
}

// The tables of the documentation are those of the code. UPDATE=1 writes them.
func TestConfigurationTables(t *testing.T) {
	data, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, b := range keyBlocks() {
		begin, end := "<!-- keys of "+b.path+" -->\n", "<!-- end -->\n"
		before, rest, found := strings.Cut(doc, begin)
		old, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Errorf("%s has no table of %q between %q and %q", docFile, b.path, begin, end)
			continue
		}
		if want := keyTable(b); old != want {
			doc = before + begin + want + end + after
			if os.Getenv("UPDATE") == "" {
				t.Errorf("the table of %q in %s is not that of the code (UPDATE=1 writes it):\n%s", b.path, docFile, want)
			}
		}
	}
	if os.Getenv("UPDATE") != "" && doc != string(data) {
		if err := os.WriteFile(docFile, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Each option of each collector has its row, with the kind of value it takes.
func TestConfigurationCollectorOptions(t *testing.T) {
	data, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(data), -1)
	var got, want []string
	for _, r := range rows {
		got = append(got, r[1]+": "+r[2])
	}
	for _, name := range collector.Names() {
		for _, k := range optionKeys(name, newDraft()) {
			want = append(want, name+"."+k.name+": "+k.typ)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("options in %s:\n%s\nin the code:\n%s", docFile, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Each YAML block of the documentation is accepted, with a receiver if it has none.
func TestConfigurationExamples(t *testing.T) {
	data, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d YAML blocks in %s, want some", len(blocks), docFile)
	}
	t.Setenv("SITE", "plant-7")
	t.Setenv("TENANT", "edge")
	for _, b := range blocks {
		text := b[1]
		if !strings.Contains(text, "remote_write:") {
			text += receiverLine
		}
		if _, _, err := loadText(t, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// exampleText is config.example.yaml with every setting switched on.
func exampleText(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^( *)#([A-Za-z-])`).ReplaceAllString(string(data), "$1$2")
}

func TestExampleIsAccepted(t *testing.T) {
	c, warnings, err := LoadConfig("../config.example.yaml")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	want := DefaultConfig()
	r := defaultReceiver()
	r.URL, r.Name = "https://mimir.example/api/v1/push", c.Writer.Receivers[0].Name
	r.HTTP.TLSConfig.MinVersion, r.HTTP.TLSConfig.MaxVersion = config.TLSVersions["TLS12"], config.TLSVersions["TLS13"]
	want.Writer.Receivers = append(want.Writer.Receivers, r)
	wantSame(t, "the example", c, want)
	if _, warnings, err = loadText(t, exampleText(t)); err != nil {
		t.Error(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Text, "no such file") { // token, client.pem and so on
			t.Error(w)
		}
	}
}

// placeOf is the path of a key with list positions and free names left out.
func placeOf(path string) string {
	path = regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "[]")
	path = regexp.MustCompile(`(http_headers)\.[^.]+`).ReplaceAllString(path, "$1.<name>")
	for _, name := range collector.Names() {
		path = strings.Replace(path, "collectors."+name+".", "collectors.<name>.", 1)
	}
	return path
}

// scalarsOf walks a file and returns the scalar values of each place.
func scalarsOf(n *yaml.Node, path string, values map[string][]string) {
	switch n.Kind {
	case yaml.DocumentNode:
		scalarsOf(n.Content[0], path, values)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			child := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			values[placeOf(child)] = append(values[placeOf(child)], n.Content[i+1].Value)
			scalarsOf(n.Content[i+1], child, values)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			scalarsOf(c, fmt.Sprintf("%s[%d]", path, i), values)
		}
	}
}

// Every supported key occurs in the example, with its default where it has one.
func TestExampleHasEveryKey(t *testing.T) {
	text := exampleText(t)
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	values := make(map[string][]string)
	scalarsOf(&doc, "", values)
	inline := []string{"ca", "cert", "key", "client_certificate_key"} // PEM texts, which nobody wants in an example
	for _, b := range keyBlocks() {
		for _, r := range b.rows {
			at := strings.TrimPrefix(b.path+"."+r.name, ".")
			got, ok := values[at]
			switch {
			case r.use != supported || slices.Contains(inline, r.name):
			case strings.HasPrefix(b.path, "remote_write[].oauth2") && len(values["remote_write[]."+r.name]) > 0: // proxy keys, as in the receiver
			case !ok:
				t.Errorf("%s is not in config.example.yaml", at)
			case r.def != "" && r.def != "[]" && !slices.Contains(got, r.def):
				t.Errorf("%s is %q in config.example.yaml, its default is %s", at, got, r.def)
			}
		}
	}
	for _, name := range collector.Names() {
		for _, k := range optionKeys(name, newDraft()) {
			if !regexp.MustCompile(`(?m)^  ` + name + `:(\n    .*)*\n    ` + k.name + `: `).MatchString(text) {
				t.Errorf("collectors.%s.%s is not in config.example.yaml", name, k.name)
			}
		}
	}
}

// Writing a default into the file changes nothing.
func TestDefaultsAreTrue(t *testing.T) {
	// These stand for what the TLS and OAuth libraries do with an empty field.
	library := []string{"min_version", "max_version", "grant_type", "signature_algorithm"}
	snippet := func(path, line string) string {
		path = strings.NewReplacer("<name>", "cpu", "[]", "").Replace(path)
		text := line
		for _, part := range slices.Backward(strings.Split(path, ".")) {
			switch part {
			case "":
			case "remote_write":
				text = "remote_write: [{url: 'http://a/', " + text + "}]"
			case "write_relabel_configs":
				text = "write_relabel_configs: [{target_label: a, " + text + "}]"
			case "oauth2":
				text = "oauth2: {client_id: a, token_url: 'http://a/', " + text + "}"
			default:
				text = part + ": {" + text + "}"
			}
		}
		if !strings.HasPrefix(text, "remote_write") {
			text += "\nremote_write: [{url: 'http://a/'}]"
		}
		return text + "\n"
	}
	for _, b := range keyBlocks() {
		for _, r := range b.rows {
			if r.def == "" || slices.Contains(library, r.name) {
				continue
			}
			with, _, err := loadText(t, snippet(b.path, r.name+": "+r.def))
			if err != nil {
				t.Errorf("%s.%s: %v", b.path, r.name, err)
				continue
			}
			without, _, err := loadText(t, snippet(b.path, r.name+": null"))
			if err != nil {
				t.Errorf("%s.%s: %v", b.path, r.name, err)
				continue
			}
			if r.name == "separator" || r.name == "replacement" || r.name == "regex" { // null means empty there
				d := relabel.DefaultRelabelConfig
				def := map[string]string{"separator": d.Separator, "replacement": d.Replacement, "regex": d.Regex.String()}[r.name]
				wantSame(t, r.name, r.def, def)
				continue
			}
			a, _ := json.Marshal(with)
			z, _ := json.Marshal(without)
			if string(a) != string(z) {
				t.Errorf("%s.%s: %s changes\n%s\nto\n%s", b.path, r.name, r.def, z, a)
			}
		}
	}
}

// yamlTags lists the keys of a struct as YAML knows them, inlined ones too.
func yamlTags(t reflect.Type) []string {
	var tags []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(rest, "inline"):
			tags = append(tags, yamlTags(f.Type)...)
		case name != "" && name != "-":
			tags = append(tags, name)
		}
	}
	return tags
}

// Each key of the libraries' structs has a row, so that a new version of them
// cannot bring one that is unknown here.
func TestEveryLibraryKeyIsKnown(t *testing.T) {
	for path, typ := range map[string]reflect.Type{
		"remote_write[]":                         reflect.TypeFor[config.HTTPClientConfig](),
		"remote_write[].basic_auth":              reflect.TypeFor[config.BasicAuth](),
		"remote_write[].authorization":           reflect.TypeFor[config.Authorization](),
		"remote_write[].oauth2":                  reflect.TypeFor[config.OAuth2](),
		"remote_write[].tls_config":              reflect.TypeFor[config.TLSConfig](),
		"remote_write[].http_headers.<name>":     reflect.TypeFor[config.Header](),
		"remote_write[].write_relabel_configs[]": reflect.TypeFor[relabel.Config](),
	} {
		wantKeys(t, path, yamlTags(typ))
	}
}

func wantKeys(t *testing.T, path string, tags []string) {
	t.Helper()
	for _, b := range keyBlocks() {
		if b.path != path {
			continue
		}
		for _, tag := range tags {
			if !slices.ContainsFunc(b.rows, func(r keyRow) bool { return r.name == tag }) {
				t.Errorf("%s has no row for %s", path, tag)
			}
		}
		return
	}
	t.Errorf("no block %s", path)
}

// The same for Prometheus' own configuration, whose package would bring a
// hundred others along: its source is read instead.
func TestEveryPrometheusKeyIsKnown(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Skipf("no module: %v", err)
	}
	file, err := goparser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "config/config.go"), nil, 0)
	if err != nil {
		t.Skip(err)
	}
	tags := structTags(file)
	for path, name := range map[string]string{
		"": "Config", "global": "GlobalConfig", "remote_write[]": "RemoteWriteConfig",
		"remote_write[].queue_config": "QueueConfig", "remote_write[].metadata_config": "MetadataConfig",
	} {
		if len(tags[name]) == 0 {
			t.Errorf("no keys in Prometheus' %s", name)
		}
		wantKeys(t, path, tags[name])
	}
}

// structTags lists the YAML keys of each struct in a source file.
func structTags(file *ast.File) map[string][]string {
	tags := make(map[string][]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range s.Fields.List {
			if f.Tag == nil {
				continue
			}
			text, _ := strconv.Unquote(f.Tag.Value)
			if name, _, _ := strings.Cut(reflect.StructTag(text).Get("yaml"), ","); name != "" && name != "-" {
				tags[spec.Name.Name] = append(tags[spec.Name.Name], name)
			}
		}
		return true
	})
	return tags
}
