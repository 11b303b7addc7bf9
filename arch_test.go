package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are the imports among the project's packages that ARCHITECTURE.md
// draws; metric may be imported by all.
var arrows = map[string][]string{
	"nodepush":            {"nodepush/agent"},
	"nodepush/agent":      {"nodepush/collector", "nodepush/writer", "nodepush/receiver", "nodepush/view"},
	"nodepush/collector":  {},
	"nodepush/metric":     {},
	"nodepush/receiver":   {},
	"nodepush/view":       {"nodepush/receiver"},
	"nodepush/writer":     {"nodepush/writer/wal"},
	"nodepush/writer/wal": {},
	"nodepush/e2e":        {"nodepush/receiver"},
}

// leaves may import nothing but the standard library and x/sys.
var leaves = []string{"nodepush/metric", "nodepush/writer/wal"}

func TestImportArrows(t *testing.T) {
	for pkg, imports := range packages(t) {
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("package %s has no place in ARCHITECTURE.md's picture: add it to arrows", pkg)
		}
		for _, imp := range imports {
			own := imp == "nodepush" || strings.HasPrefix(imp, "nodepush/")
			switch {
			case own && imp != "nodepush/metric" && !slices.Contains(allowed, imp):
				t.Errorf("%s imports %s: allowed are metric and %v", pkg, imp, allowed)
			case !own && slices.Contains(leaves, pkg) && strings.Contains(imp, ".") && !strings.HasPrefix(imp, "golang.org/x/sys"):
				t.Errorf("%s imports %s: it may use the standard library and golang.org/x/sys only", pkg, imp)
			case imp == "os/exec":
				t.Errorf("%s imports os/exec: nodepush starts no programs", pkg)
			}
		}
	}
}

// packages lists the imports, tests excluded, of every package of the module.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	pkgs := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkgs[fields[0]] = fields[1:]
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	return pkgs
}
