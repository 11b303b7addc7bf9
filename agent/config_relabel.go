package agent

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/writer"
)

// relabelKeys are the keys of a rule. What they mean is the library's own
// business; here they are only taken apart, so that each has its line.
func relabelKeys() []key[relabel.Config] {
	type rule = relabel.Config
	return []key[rule]{
		{"source_labels", "[]", "labels whose values, joined by separator, the rule looks at", reader[rule]{typ: "list of label names", read: readSourceLabels}},
		{"separator", ";", "what joins the values", rawText(func(r *rule) *string { return &r.Separator })},
		{"regex", "(.*)", "anchored RE2 expression", reader[rule]{typ: "regular expression", read: readRegex}},
		{"modulus", "", "for the action hashmod", reader[rule]{typ: "number from 1", read: readModulus}},
		{"target_label", "", "the label that is written", rawText(func(r *rule) *string { return &r.TargetLabel })},
		{"replacement", "$1", "what is written; $1 and ${1} are groups of regex", rawText(func(r *rule) *string { return &r.Replacement })},
		{"action", "replace", "what is done", reader[rule]{typ: "replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase or uppercase", read: readAction}},
	}
}

// rawText reads a string as it is; ${…} in it belongs to the rule.
func rawText[T any](get func(*T) *string) reader[T] {
	return reader[T]{typ: "string", read: func(v value, dst *T) {
		if s, ok := v.scalar("a string"); ok {
			*get(dst) = s
		}
	}}
}

func readRegex(v value, r *relabel.Config) {
	s, ok := v.scalar("a regular expression")
	if !ok {
		return
	}
	re, err := relabel.NewRegexp(s)
	if err != nil {
		v.fail("%v", err)
		return
	}
	r.Regex = re
}

func readModulus(v value, r *relabel.Config) {
	n, ok := v.number()
	if ok && n < 1 {
		v.fail("%d is out of range: it must be 1 or more", n)
	} else if ok {
		r.Modulus = uint64(n)
	}
}

func readAction(v value, r *relabel.Config) {
	s, ok := v.scalar("an action")
	if !ok {
		return
	}
	if err := v.node.Decode(&r.Action); err != nil {
		v.fail("%s is no action: it must be replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase or uppercase", quoted(s))
	}
}

func readSourceLabels(v value, r *relabel.Config) {
	label := func(v value) (string, bool) {
		s, ok := v.scalar("a label name")
		if ok && !model.UTF8Validation.IsValidLabelName(s) {
			v.fail("a label name cannot be empty")
			return "", false
		}
		return s, ok
	}
	for _, s := range v.texts(label) {
		r.SourceLabels = append(r.SourceLabels, model.LabelName(s))
	}
}

// readRelabel reads the list of rules. A rule is judged as a whole only when
// each of its keys was good, and then by the library.
func readRelabel(v value, r *writer.Receiver) {
	keys := relabelKeys()
	for _, item := range v.items() {
		if item.null() {
			item.fail("an empty rule")
			continue
		}
		rule, before := relabel.DefaultRelabelConfig, len(v.p.problems)
		readBlock(item, keys, &rule)
		item.emptied(&rule)
		if len(v.p.problems) > before {
			continue
		}
		if err := rule.Validate(model.UTF8Validation); err != nil {
			item.fail("%v", err)
			continue
		}
		r.WriteRelabel = append(r.WriteRelabel, &rule)
	}
}

// emptied gives the strings that the rule sets to null their empty value, not
// the default: that is what Prometheus makes of "replacement:".
func (v value) emptied(r *relabel.Config) {
	for _, e := range v.entries() {
		if !v.at(e.name, e.node, e.line).null() {
			continue
		}
		switch e.name {
		case "separator":
			r.Separator = ""
		case "replacement":
			r.Replacement = ""
		case "regex":
			r.Regex = relabel.MustNewRegexp("")
		}
	}
}
