package agent

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"nodepush/collector"
)

// collectorBlock is what the block of one collector says beside its options.
type collectorBlock struct {
	enabled  bool
	interval time.Duration // 0: global.scrape_interval
}

// collectorsKeys are the keys of the block collectors: its own, and one block
// for each collector there is.
func collectorsKeys() []key[draft] {
	keys := []key[draft]{
		{"profile", "full", "full: every collector; none: only those that have a block here", asChoice(func(d *draft, s string) { d.profile = s }, word{"full", ""}, word{"none", ""}, word{"edge", "not built yet"})},
		{"job", "node", "the label job of every series", reader[draft]{typ: "string", read: readJob}},
	}
	for _, name := range collector.Names() {
		keys = append(keys, key[draft]{name, "", "the collector " + name, collectorReader(name)})
	}
	return append(keys, key[draft]{"container", "", "container metrics are not built yet: keep cAdvisor for them", rejected[draft]()})
}

// collectorKeys are the keys that the block of each collector has.
func collectorKeys() []key[collectorBlock] {
	return []key[collectorBlock]{
		{"enabled", "true", "false leaves the collector out", asBool(func(b *collectorBlock) *bool { return &b.enabled })},
		{"interval", "", "its own time between two rounds; by default global.scrape_interval", asDuration(func(b *collectorBlock) *time.Duration { return &b.interval }, minInterval, maxInterval)},
	}
}

func readJob(v value, d *draft) {
	s, ok := v.text()
	if ok && s == "" {
		v.fail("is empty: every series needs a job, such as node")
	} else if ok {
		d.Job = s
	}
}

// collectorReader reads collectors.<name>. The block counts as there even
// when it is null, for the profile none.
func collectorReader(name string) reader[draft] {
	return reader[draft]{typ: "block", read: func(v value, d *draft) {
		b := d.block(name)
		keys := collectorKeys()
		readBlock(v, append(keys, optionKeys(name, d)...), b)
	}, null: func(d *draft) { d.block(name) }}
}

// block returns the block of the collector, made if there is none.
func (d *draft) block(name string) *collectorBlock {
	b := d.blocks[name]
	if b == nil {
		b = &collectorBlock{enabled: true}
		d.blocks[name] = b
	}
	return b
}

// optionKeys are the collector's own options: the fields of the struct that
// collector.Options has under its name, by their yaml tags.
func optionKeys(name string, d *draft) []key[collectorBlock] {
	var keys []key[collectorBlock]
	options := optionsOf(name, &d.Options)
	for i := range options.NumField() {
		tag := options.Type().Field(i).Tag.Get("yaml")
		field := options.Field(i)
		keys = append(keys, key[collectorBlock]{tag, "", "", reader[collectorBlock]{
			typ:  optionType(field.Type()),
			read: func(v value, _ *collectorBlock) { readOption(v, field) },
		}})
	}
	return keys
}

// optionsOf returns the options of the collector, an empty struct where it has none.
func optionsOf(name string, all *collector.Options) reflect.Value {
	v := reflect.ValueOf(all).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i)
		}
	}
	return reflect.ValueOf(struct{}{})
}

var durationType = reflect.TypeFor[time.Duration]()

// optionType is what is allowed in a field of a collector's options.
func optionType(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return optionType(t.Elem())
	case t == durationType:
		return "duration"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "string"
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list of strings"
	}
	panic("agent: no reader for a collector's option of type " + t.String())
}

// readOption reads a field of a collector's options.
func readOption(v value, field reflect.Value) {
	t := field.Type()
	if t.Kind() == reflect.Pointer {
		p := reflect.New(t.Elem())
		before := len(v.p.problems)
		if readOption(v, p.Elem()); len(v.p.problems) == before {
			field.Set(p)
		}
		return
	}
	switch optionType(t) {
	case "duration":
		d, _ := v.duration()
		field.SetInt(int64(d))
	case "true or false":
		b, _ := v.boolean()
		field.SetBool(b)
	case "number":
		n, _ := v.number()
		field.SetInt(n)
	case "string":
		s, _ := v.scalar("a string")
		field.SetString(s)
	case "list of strings":
		raw := func(v value) (string, bool) { return v.scalar("a string") }
		field.Set(reflect.ValueOf(v.texts(raw)).Convert(t))
	}
}

// fill finishes the draft: which collectors run, at which interval, and how
// long they may take where the file does not say.
func (d *draft) fill(timeoutSet bool) {
	shortest := d.Interval
	for _, name := range collector.Names() {
		b, named := d.blocks[name]
		if named && !b.enabled || !named && d.profile == "none" {
			continue
		}
		c := CollectorConfig{name, d.Interval}
		if named && b.interval > 0 {
			c.Interval = b.interval
		}
		shortest = min(shortest, c.Interval)
		d.Collectors = append(d.Collectors, c)
	}
	if !timeoutSet {
		d.Timeout = min(10*time.Second, shortest)
	}
}

// checkIntervals reports intervals that are shorter than the timeout.
func (p *parser) checkIntervals(d *draft) {
	top := value{p: p, line: 1}
	if d.Timeout > d.Interval {
		top.key("global.scrape_timeout").fail("%v is longer than global.scrape_interval (%v)", model.Duration(d.Timeout), model.Duration(d.Interval))
		return
	}
	for _, c := range d.Collectors {
		if d.Timeout > c.Interval {
			top.key("collectors."+c.Name+".interval").fail("%v is shorter than global.scrape_timeout (%v)", model.Duration(c.Interval), model.Duration(d.Timeout))
		}
	}
}

// checkOptions lets package collector judge the options, those of collectors
// that are switched off too, and finds the line of each complaint.
func (p *parser) checkOptions(d *draft) {
	_, err := collector.New(collector.Names(), collector.Paths{}, d.Options)
	for _, err := range flatten(err) {
		path, text, _ := strings.Cut(err.Error(), ": ")
		v := value{p: p, path: path, line: p.at["collectors"]}
		for up := path; up != ""; up = up[:max(0, strings.LastIndexByte(up, '.'))] {
			if line, ok := p.at[up]; ok {
				v.line = line
				break
			}
		}
		v.fail("%s", text)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = slices.Concat(list, flatten(e))
	}
	return list
}
