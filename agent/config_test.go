package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each file in testdata/config says in its comments what must be reported:
//
//	key: value # want: text             an error in this line
//	key: value # warn: text             a warning in this line
//	# want 7: text                      the same for line 7
//	key: value # want ~: text           the report begins with text
var expectation = regexp.MustCompile(`# (want|warn)( \d+)?( ~)?: (.*)$`)

// remark is a problem or a warning as the tests compare it.
type remark struct {
	line   int
	kind   string
	text   string
	prefix bool
}

func expectedRemarks(t *testing.T, file string) []remark {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []remark
	for i, line := range strings.Split(string(data), "\n") {
		m := expectation.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		r := remark{line: i + 1, kind: m[1], text: m[4], prefix: m[3] != ""}
		if m[2] != "" {
			r.line, _ = strconv.Atoi(m[2][1:])
		}
		want = append(want, r)
	}
	return want
}

// remarksOn loads the file and checks the outside of each line: FILE:LINE: text.
func remarksOn(t *testing.T, file string) []remark {
	t.Helper()
	c, warnings, err := LoadConfig(file)
	if (c == nil) != (err != nil) {
		t.Errorf("LoadConfig(%s) = %v, %v: want either", file, c, err)
	}
	var got []remark
	add := func(kind, s string) {
		rest, ok := strings.CutPrefix(s, file+":")
		digits, text, found := strings.Cut(rest, ": ")
		line, err := strconv.Atoi(digits)
		if !ok || !found || err != nil {
			t.Errorf("%q is not of the form FILE:LINE: text", s)
		}
		got = append(got, remark{line: line, kind: kind, text: text})
	}
	if err != nil {
		for _, s := range strings.Split(err.Error(), "\n") {
			add("want", s)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b remark) int { return a.line - b.line }) {
		t.Errorf("the problems are not in the order of lines: %v", got)
	}
	for _, w := range warnings {
		add("warn", w.String())
	}
	return got
}

func TestLoadConfigReportsEveryLine(t *testing.T) {
	files, err := configFiles()
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want := expectedRemarks(t, file)
			for _, g := range remarksOn(t, file) {
				i := slices.IndexFunc(want, func(w remark) bool {
					return w.line == g.line && w.kind == g.kind && (w.text == g.text || w.prefix && strings.HasPrefix(g.text, w.text))
				})
				if i < 0 {
					t.Errorf("unexpected %s %d: %s", g.kind, g.line, g.text)
					continue
				}
				want = slices.Delete(want, i, i+1)
			}
			for _, w := range want {
				t.Errorf("missing %s %d: %s", w.kind, w.line, w.text)
			}
		})
	}
}

func configFiles() ([]string, error) {
	own, err := filepath.Glob("testdata/config/*.yaml")
	pasted, err2 := filepath.Glob("testdata/config/paste/*.yaml")
	return append(own, pasted...), errors.Join(err, err2)
}

// loadText parses text as if it were a file in a directory of its own.
func loadText(t *testing.T, text string) (*Config, []Warning, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, w, err := LoadConfig(file)
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), file, "F"))
	}
	return c, w, err
}
