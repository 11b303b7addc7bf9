package agent

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// parser collects what is wrong with one file while its nodes are walked.
//
//	text ── document ──▶ nodes ── readBlock, by tables of keys ──▶ draft ── fill, check ──▶ Config
//	                        └── fail, warn: every one with its line ──▶ problems, warnings
type parser struct {
	file, dir string
	expander  expander
	at        map[string]int  // line of each key that is there and not null, by path
	set       map[string]bool // those of them that are neither empty nor false
	nodes     int             // entries walked, aliases expanded
	problems  []Problem
	warnings  []Warning
}

func newParser(file string, e expander) *parser {
	return &parser{file: file, dir: filepath.Dir(file), expander: e, at: make(map[string]int), set: make(map[string]bool)}
}

// maxEntries bounds what aliases can blow a file up to.
const maxEntries = 100_000

func (p *parser) add(line int, key, text string) {
	p.problems = append(p.problems, Problem{p.file, line, key, text})
}

// met remembers that the file has the key v.
func (p *parser) met(v value) {
	if v.null() {
		return
	}
	p.at[v.path] = v.line
	if s := v.node.Value; v.node.Kind != yaml.ScalarNode || s != "" && s != "false" {
		p.set[v.path] = true
	}
}

// has reports whether the file sets the key to something other than null.
func (p *parser) has(path string) bool { return p.at[path] > 0 }

// value is a node of the file, never an alias, and where it stands.
type value struct {
	p    *parser
	node *yaml.Node // nil in an empty file
	path string
	line int // of the key, or of a list's element
}

// at returns the value of a key below v.
func (v value) at(name string, node *yaml.Node, line int) value {
	path := name
	if v.path != "" {
		path = v.path + "." + name
	}
	return value{v.p, resolve(node), path, line}
}

func (v value) fail(format string, args ...any) {
	v.p.add(v.line, v.path, fmt.Sprintf(format, args...))
}

func (v value) warn(format string, args ...any) {
	v.p.warnings = append(v.p.warnings, Warning{v.p.file, v.line, v.path, fmt.Sprintf(format, args...)})
}

// key returns v with the place of its key name, for a complaint about it: the
// line of that key where the file has it, else v's own.
func (v value) key(name string) value {
	k := v.at(name, v.node, v.line)
	if line, ok := v.p.at[k.path]; ok {
		k.line = line
	}
	return k
}

// has reports whether v, a mapping, sets the key to something other than null.
func (v value) has(name string) bool { return v.p.has(v.at(name, nil, 0).path) }

// sets reports whether v, a mapping, sets the key to something that means
// more than its absence: not to null, "" or false.
func (v value) sets(name string) bool { return v.p.set[v.at(name, nil, 0).path] }

// null reports whether the value is absent, which means its default.
func (v value) null() bool {
	return v.node == nil || v.node.Kind == 0 || v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null"
}

// empty reports whether the value says nothing: null or a list without elements.
func (v value) empty() bool {
	return v.null() || v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0
}

// resolve follows an alias. Anchors stand on the node itself, so that one step does.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// entry is a key of a mapping and its value.
type entry struct {
	name string
	line int
	node *yaml.Node
}

// entries lists the keys of the mapping v in the order of the file, then those
// merged with << that it does not set itself. A value that is no mapping and a
// key that is there twice are reported.
func (v value) entries() []entry {
	if v.null() {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		v.fail("must be a mapping (key: value), not %s", nodeKind(v.node))
		return nil
	}
	return v.merge(nil, make(map[string]bool), 0)
}

// maxMerge bounds the depth of << in <<, which can also be a circle.
const maxMerge = 8

// merge appends the entries of v whose names are not in taken.
func (v value) merge(list []entry, taken map[string]bool, depth int) []entry {
	own := make(map[string]int)
	var merges []*yaml.Node
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := resolve(v.node.Content[i]), v.node.Content[i+1]
		if v.p.nodes++; v.p.nodes > maxEntries {
			return v.tooMany(list)
		}
		switch first, twice := own[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			v.failHere(k.Line, "a key must be a plain word, not %s", nodeKind(k))
		case k.ShortTag() == "!!merge":
			merges = append(merges, n)
		case twice:
			v.twice(k, first)
		default:
			own[k.Value] = k.Line
			if !taken[k.Value] {
				list = append(list, entry{k.Value, k.Line, n})
			}
		}
	}
	for name := range own {
		taken[name] = true
	}
	for _, m := range merges {
		list = v.mergeOne(resolve(m), list, taken, depth)
	}
	return list
}

// mergeOne merges what stands behind one <<: a mapping or a list of them.
func (v value) mergeOne(m *yaml.Node, list []entry, taken map[string]bool, depth int) []entry {
	sources := []*yaml.Node{m}
	if m.Kind == yaml.SequenceNode {
		sources = m.Content
	}
	for _, n := range sources {
		n = resolve(n)
		if n.Kind != yaml.MappingNode || depth == maxMerge {
			v.failHere(m.Line, "<< needs a mapping or a list of mappings, at most %d deep", maxMerge)
			return list
		}
		list = value{v.p, n, v.path, v.line}.merge(list, taken, depth+1)
	}
	return list
}

// items lists the elements of a list; anything else is reported.
func (v value) items() []value {
	if v.null() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.fail("must be a list, not %s", nodeKind(v.node))
		return nil
	}
	var list []value
	for i, n := range v.node.Content {
		if v.p.nodes++; v.p.nodes > maxEntries {
			v.tooMany(nil)
			break
		}
		list = append(list, value{v.p, resolve(n), fmt.Sprintf("%s[%d]", v.path, i), n.Line})
	}
	return list
}

// failHere is fail for a line inside v.
func (v value) failHere(line int, format string, args ...any) {
	v.line = line
	v.fail(format, args...)
}

// tooMany reports once that the file is beyond maxEntries.
func (v value) tooMany(list []entry) []entry {
	if v.p.nodes == maxEntries+1 {
		v.fail("more than %d entries in the file, aliases expanded", maxEntries)
	}
	return list
}

// scalar returns the value's text as written; anything else is reported.
func (v value) scalar(want string) (string, bool) {
	if v.node.Kind == yaml.ScalarNode {
		switch v.node.ShortTag() {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
			return v.node.Value, true
		}
	}
	v.fail("must be %s, not %s", want, nodeKind(v.node))
	return "", false
}

// nodeKind names what a node is without a word of what it says: it may be a secret.
func nodeKind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a string"
	case "!!int":
		return "a number"
	case "!!float":
		return "a number with a fraction or too many digits"
	case "!!bool":
		return "a boolean"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "something with a tag (quote a value that begins with !)"
}

// twice reports a key that the mapping v has in line first, too. A name that
// is not that of a known key may be anything, even the rest of a secret.
func (v value) twice(k *yaml.Node, first int) {
	if home(k.Value) == "" {
		v.failHere(k.Line, "a key is here twice, first in line %d", first)
		return
	}
	v.at(k.Value, k, k.Line).fail("is here twice, first in line %d", first)
}

// quoted shows a value of a key that holds no secret, shortened.
func quoted(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(s, "?"))
}
