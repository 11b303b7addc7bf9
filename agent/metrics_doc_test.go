package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nodepush/writer"
)

// docs/metrics.md has, between two markers, a table of what the agent and the
// writer say about themselves, made from the code.
func TestMetricsDocument(t *testing.T) {
	const path, begin, end = "../docs/metrics.md", "<!-- begin nodepush -->\n", "<!-- end nodepush -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks the markers %q and %q", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("| family | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	last := ""
	for _, d := range append(descs(), new(writer.Writer).Descs()...) {
		if d.FamilyName() == last { // a summary's sum and count
			continue
		}
		last = d.FamilyName()
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", d.FamilyName(), d.Type, d.Unit, strings.Join(d.Labels, ", "), d.Help)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the code says: make golden, and review the diff", path)
	}
}
