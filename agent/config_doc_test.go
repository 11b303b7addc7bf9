package agent

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nodepush/collector"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs")

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

// The tables of the documentation are those of the code. -update writes them.
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
			if !*update {
				t.Errorf("the table of %q in %s is not that of the code (make golden writes it):\n%s", b.path, docFile, want)
			}
		}
	}
	if *update && doc != string(data) {
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
// A block of another program's configuration is fenced without the word yaml.
func TestConfigurationExamples(t *testing.T) {
	t.Setenv("SITE", "plant-7")
	t.Setenv("TENANT", "edge")
	for file, atLeast := range map[string]int{docFile: 3, "../docs/receivers.md": 7, "../README.md": 1} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := yamlBlocks(string(data))
		if len(blocks) < atLeast {
			t.Errorf("%d YAML blocks in %s, want at least %d", len(blocks), file, atLeast)
		}
		for _, text := range blocks {
			if !strings.Contains(text, "remote_write:") {
				text += receiverLine
			}
			_, warnings, err := loadText(t, text)
			if err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			for _, w := range warnings {
				if !strings.Contains(w.Text, "no such file") { // token, client.pem and so on
					t.Errorf("%s: %v\n%s", file, w, text)
				}
			}
		}
	}
}

// yamlBlocks returns the YAML in a page: what is fenced as such, and what a
// shell example writes into nodepush.yaml.
func yamlBlocks(page string) []string {
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```|nodepush\\.yaml <<'EOF'\n(.*?)EOF\n").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, m[1]+m[2])
	}
	return blocks
}
