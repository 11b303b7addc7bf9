package agent

import (
	"fmt"
	"slices"
	"strings"
)

// use is what the agent does with a key that the file has.
type use uint8

const (
	supported use = iota
	satisfied     // has no meaning here and changes no result: a warning
	refused       // not built or not supported: an error
)

func (u use) String() string { return [...]string{"supported", "satisfied", "refused"}[u] }

// key is one row of a block, in the code as in docs/configuration.md, where
// the same words stand.
type key[T any] struct {
	name string
	def  string // the default, as one would write it in the file; "" for none
	text string // what it means; why it is satisfied or refused
	reader[T]
}

// reader turns a value of the file into a field of dst.
type reader[T any] struct {
	use  use
	typ  string                // what is allowed, for docs/configuration.md
	read func(v value, dst *T) // not called for null, which is the default
	null func(dst *T)          // called for null, unless nil
}

// ignored makes a key satisfied whatever its value is.
func ignored[T any]() reader[T] { return reader[T]{use: satisfied, typ: "any"} }

// rejected makes a key refused.
func rejected[T any]() reader[T] { return reader[T]{use: refused} }

// nested reads a block inside the block.
func nested[T, U any](keys []key[U], get func(*T) *U) reader[T] {
	return reader[T]{typ: "block", read: func(v value, dst *T) { readBlock(v, keys, get(dst)) }}
}

// optional reads a block whose presence alone means something.
func optional[T, U any](keys []key[U], get func(*T) **U) reader[T] {
	return reader[T]{typ: "block", read: func(v value, dst *T) {
		p := get(dst)
		*p = new(U)
		readBlock(v, keys, *p)
	}}
}

// lift makes the rows of a part into rows of the whole, for keys that Go nests
// and YAML does not.
func lift[T, U any](keys []key[U], get func(*T) *U) []key[T] {
	list := make([]key[T], len(keys))
	for i, k := range keys {
		list[i] = key[T]{k.name, k.def, k.text, reader[T]{use: k.use, typ: k.typ}}
		if k.read != nil {
			list[i].read = func(v value, dst *T) { k.read(v, get(dst)) }
		}
	}
	return list
}

// readBlock reads the mapping v into dst, key by key.
func readBlock[T any](v value, keys []key[T], dst *T) {
	for _, e := range v.entries() {
		i := slices.IndexFunc(keys, func(k key[T]) bool { return k.name == e.name })
		if i < 0 {
			unknown(v, e, keys)
			continue
		}
		keys[i].apply(v.at(e.name, e.node, e.line), dst)
	}
}

// apply does with one key of the file what its row says.
func (k key[T]) apply(v value, dst *T) {
	v.p.met(v)
	before := len(v.p.problems)
	switch {
	case k.use == refused && v.empty():
		v.warn("is empty and has no effect: %s", k.text)
	case k.use == refused:
		v.fail("%s", k.text)
	case k.use == satisfied:
		if k.read != nil && !v.null() {
			k.read(v, dst)
		}
		if len(v.p.problems) == before {
			v.warn("has no effect: %s", k.text)
		}
	case !v.null():
		k.read(v, dst)
	case k.null != nil:
		k.null(dst)
	}
}

func keyNames[T any](keys []key[T], of func(key[T]) bool) []string {
	var list []string
	for _, k := range keys {
		if of(k) {
			list = append(list, k.name)
		}
	}
	return list
}

// unknown reports a key that the block v does not have. The key is named where
// it is near to one that is allowed, or belongs to another block, or can be no
// secret: a stray comma in {password: a,b} makes the key b of it.
func unknown[T any](v value, e entry, keys []key[T]) {
	k := v.at(e.name, e.node, e.line)
	allowed := strings.Join(keyNames(keys, func(k key[T]) bool { return k.use == supported }), ", ")
	if near := nearest(e.name, keyNames(keys, func(key[T]) bool { return true })); near != "" {
		k.fail("unknown key, did you mean %q?", near)
	} else if h := home(e.name); h != "" {
		k.fail("unknown key here, it belongs to %s; check the indentation", h)
	} else if v.carriesSecrets() || k.null() || !plainWord(e.name) {
		v.failHere(e.line, "unknown key (not shown, it may be part of a secret); allowed: %s", allowed)
	} else {
		k.fail("unknown key; allowed: %s", allowed)
	}
}

// carriesSecrets reports whether v is a block in which secrets are written.
func (v value) carriesSecrets() bool {
	for _, name := range []string{"basic_auth", "authorization", "oauth2", "tls_config", "http_headers"} {
		if strings.Contains(v.path, "."+name) {
			return true
		}
	}
	return false
}

// plainWord reports whether s looks like the key of a configuration.
func plainWord(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_0123456789") == ""
}

// nearest is the allowed word that is a typing error away, "" without one: one
// letter in words of three to seven, two in longer ones.
func nearest(word string, allowed []string) string {
	best, limit := "", 1
	if len(word) >= 3 {
		limit = min(3, max(2, 1+len(word)/4))
	}
	for _, a := range allowed {
		if d := editDistance(word, a, limit); d < limit {
			best, limit = a, d
		}
	}
	return best
}

// editDistance is the number of letters to insert, delete, change or swap with the
// next that makes a into b (optimal string alignment), or limit if it is no less.
func editDistance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], limit)
}

// keyRow is a key without its Go types: what the documentation says of it.
type keyRow struct {
	name, typ, def, text string
	use                  use
}

// keyBlock is a documented block: where it stands and its rows.
type keyBlock struct {
	path string
	rows []keyRow
}

func describe[T any](path string, keys []key[T]) keyBlock {
	b := keyBlock{path: path}
	for _, k := range keys {
		b.rows = append(b.rows, keyRow{k.name, k.typ, k.def, k.text, k.use})
	}
	return b
}

// keyBlocks lists every block in the order of docs/configuration.md.
func keyBlocks() []keyBlock {
	return []keyBlock{
		describe("", topKeys()),
		describe("global", globalKeys()),
		describe("collectors", collectorsKeys()),
		describe("collectors.<name>", collectorKeys()),
		describe("remote_write[]", receiverKeys()),
		describe("remote_write[].queue_config", queueKeys()),
		describe("remote_write[].metadata_config", metadataKeys()),
		describe("remote_write[].write_relabel_configs[]", relabelKeys()),
		describe("remote_write[].basic_auth", basicAuthKeys()),
		describe("remote_write[].authorization", authorizationKeys()),
		describe("remote_write[].oauth2", oauth2Keys()),
		describe("remote_write[].tls_config", tlsKeys()),
		describe("remote_write[].http_headers.<name>", headerKeys()),
		describe("wal", walKeys()),
	}
}

// home is the first block that has the key, "" for none.
func home(name string) string {
	for _, b := range keyBlocks() {
		if slices.ContainsFunc(b.rows, func(r keyRow) bool { return r.name == name }) {
			if b.path == "" {
				return "the top level"
			}
			return b.path
		}
	}
	return ""
}

// oneOf joins words for a message: "a, b or c".
func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return fmt.Sprintf("%s or %s", strings.Join(words[:last], ", "), words[last])
}
