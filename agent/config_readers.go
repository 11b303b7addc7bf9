package agent

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"
)

// The readers below each know one kind of value. Those for secrets never
// repeat the value; the others may.

// asDuration reads a time in Prometheus' grammar (1h30m), from lo to hi.
func asDuration[T any](get func(*T) *time.Duration, lo, hi time.Duration) reader[T] {
	return reader[T]{typ: "duration, " + durationRange(lo, hi), read: func(v value, dst *T) {
		if d, ok := v.duration(); ok && v.within(d, lo, hi, durationRange(lo, hi)) {
			*get(dst) = d
		}
	}}
}

// asDurationOrZero is asDuration where 0s stands for "none".
func asDurationOrZero[T any](get func(*T) *time.Duration, lo, hi time.Duration) reader[T] {
	allowed := "0s or " + durationRange(lo, hi)
	return reader[T]{typ: "duration, " + allowed, read: func(v value, dst *T) {
		if d, ok := v.duration(); ok && (d == 0 || v.within(d, lo, hi, allowed)) {
			*get(dst) = d
		}
	}}
}

func durationRange(lo, hi time.Duration) string {
	return model.Duration(lo).String() + " to " + model.Duration(hi).String()
}

func (v value) duration() (time.Duration, bool) {
	s, ok := v.scalar("a duration such as 15s")
	if !ok {
		return 0, false
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		v.fail("%s is not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 1m30s", quoted(s))
	}
	return time.Duration(d), err == nil
}

func (v value) within(d, lo, hi time.Duration, allowed string) bool {
	if d < lo || d > hi {
		v.fail("%s is out of range: allowed is %s", model.Duration(d), allowed)
		return false
	}
	return true
}

// asBool reads true or false, and the other words of YAML 1.1 for them.
func asBool[T any](get func(*T) *bool) reader[T] {
	return reader[T]{typ: "true or false", read: func(v value, dst *T) {
		if b, ok := v.boolean(); ok {
			*get(dst) = b
		}
	}}
}

func (v value) boolean() (b, ok bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		switch strings.ToLower(v.node.Value) {
		case "true", "yes", "on", "y":
			return true, true
		case "false", "no", "off", "n":
			return false, true
		}
	}
	v.fail("must be true or false, not %s", nodeKind(v.node))
	return false, false
}

// onlyTrue and onlyFalse read a boolean that can be nothing else here.
func onlyTrue[T any](u use, otherwise string) reader[T]  { return only[T](u, true, otherwise) }
func onlyFalse[T any](u use, otherwise string) reader[T] { return only[T](u, false, otherwise) }

func only[T any](u use, want bool, otherwise string) reader[T] {
	return reader[T]{use: u, typ: "only " + strconv.FormatBool(want), read: func(v value, _ *T) {
		if b, ok := v.boolean(); ok && b != want {
			v.fail("only %t is allowed: %s", want, otherwise)
		}
	}}
}

// asNumber reads a whole number from lo to hi.
func asNumber[T any](get func(*T) *int, lo, hi int64) reader[T] {
	allowed := strconv.FormatInt(lo, 10) + " to " + strconv.FormatInt(hi, 10)
	return reader[T]{typ: "number, " + allowed, read: func(v value, dst *T) {
		n, ok := v.number()
		if ok && (n < lo || n > hi) {
			v.fail("%d is out of range: allowed is %s", n, allowed)
		} else if ok {
			*get(dst) = int(n)
		}
	}}
}

func (v value) number() (int64, bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!int" {
		if n, err := strconv.ParseInt(v.node.Value, 0, 64); err == nil {
			return n, true
		}
	}
	v.fail("must be a whole number, not %s", nodeKind(v.node))
	return 0, false
}

// asText reads a string as it is.
func asText[T any](get func(*T) *string) reader[T] {
	return reader[T]{typ: "string", read: func(v value, dst *T) {
		if s, ok := v.text(); ok {
			*get(dst) = s
		}
	}}
}

func (v value) text() (string, bool) {
	s, ok := v.scalar("a string")
	if ok && strings.Contains(s, "${") {
		v.warn("${…} is not expanded in this key")
	}
	return s, ok
}

// asSecret reads a string that is never shown again.
func asSecret[T any](get func(*T) *config.Secret) reader[T] {
	return reader[T]{typ: "secret", read: func(v value, dst *T) {
		switch s, ok := v.text(); {
		case !ok:
		case s == shownSecret:
			v.fail("is what Prometheus shows in place of a secret: put the secret here, or use the key that ends in _file")
		default:
			*get(dst) = config.Secret(s)
		}
	}}
}

// shownSecret stands for every secret in the configuration that Prometheus shows.
const shownSecret = "<secret>"

// asExpanded reads a string in which ${NAME} is replaced.
func asExpanded[T any](get func(*T) *string) reader[T] {
	return reader[T]{typ: "string, expanded", read: func(v value, dst *T) {
		if s, ok := v.expanded(); ok {
			*get(dst) = s
		}
	}}
}

func (v value) expanded() (string, bool) {
	s, ok := v.scalar("a string")
	if !ok {
		return "", false
	}
	s, err := v.p.expander.expand(s)
	if err != nil {
		v.fail("%v", err)
	}
	return s, err == nil
}

// asPath reads the path of a file, expanded and relative to the configuration
// file's directory. The file may come later, so that its absence is a warning. The path
// is not shown: it may be a secret under the wrong key.
func asPath[T any](get func(*T) *string) reader[T] {
	return reader[T]{typ: "path, expanded", read: func(v value, dst *T) {
		if s, ok := v.file(); ok {
			*get(dst) = s
		}
	}}
}

func (v value) file() (string, bool) {
	s, ok := v.expanded()
	if !ok || s == "" {
		return "", ok
	}
	s = config.JoinDir(v.p.dir, s)
	switch info, err := os.Stat(s); {
	case err != nil:
		v.warn("%v; requests fail until the file can be read", withoutPath(err))
	case info.IsDir():
		v.fail("a directory, a file is needed")
	}
	return s, true
}

// asList reads a list of strings, each by read.
func asList[T any](typ string, get func(*T) *[]string, read func(value) (string, bool)) reader[T] {
	return reader[T]{typ: "list of " + typ, read: func(v value, dst *T) { *get(dst) = v.texts(read) }}
}

func (v value) texts(read func(value) (string, bool)) []string {
	var list []string
	for _, item := range v.items() {
		if item.null() {
			item.fail("must be a string, not nothing")
		} else if s, ok := read(item); ok {
			list = append(list, s)
		}
	}
	return list
}

// word is one that a key may have as its value.
type word struct {
	text   string
	refuse string // why it is refused; "" when it is allowed
}

// asChoice reads one of a few words.
func asChoice[T any](set func(dst *T, s string), words ...word) reader[T] {
	var allowed []string
	for _, o := range words {
		if o.refuse == "" {
			allowed = append(allowed, o.text)
		}
	}
	return reader[T]{typ: oneOf(allowed), read: func(v value, dst *T) {
		s, ok := v.scalar(oneOf(allowed))
		if !ok {
			return
		}
		i := slices.IndexFunc(words, func(o word) bool { return o.text == s })
		switch {
		case i < 0:
			v.fail("%s is not allowed: it must be %s", quoted(s), oneOf(allowed))
		case words[i].refuse != "":
			v.fail("%s is %s: it must be %s", s, words[i].refuse, oneOf(allowed))
		default:
			set(dst, s)
		}
	}}
}
