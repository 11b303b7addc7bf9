package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"
	"gopkg.in/yaml.v3"

	"nodepush/collector"
)

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
