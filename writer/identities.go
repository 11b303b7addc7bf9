package writer

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
)

// identities knows what each series is called at one receiver: its labels
// after write_relabel_configs, as the message wants them, made once for each
// dictionary.
type identities struct {
	rules   []*relabel.Config
	message message
	builder *labels.Builder
	known   map[string]*identityList // by source
	out     map[string]int64         // identities of series that are left out, until when (ms)
}

// maxSources bounds the sources remembered, so that those that are gone do
// not gather.
const maxSources = 256

func newIdentities(rules []*relabel.Config, m message) *identities {
	return &identities{
		rules:   rules,
		message: m,
		builder: labels.NewBuilder(labels.EmptyLabels()),
		known:   make(map[string]*identityList),
		out:     make(map[string]int64),
	}
}

// identityList holds the identities of a dictionary's series.
type identityList struct {
	dict *dictionary
	text []byte
	ends []int // ends[id] is where the identity of id ends and that of id+1 begins
}

// at returns the identity of a series; empty: it is not for this receiver.
func (t *identityList) at(id int) []byte {
	start := 0
	if id > 0 {
		start = t.ends[id-1]
	}
	return t.text[start:t.ends[id]]
}

// prepare is called before each request, at the time now: series whose time
// is over are no longer left out, and identities that the message wants to be
// made anew are forgotten.
func (n *identities) prepare(now int64) {
	for name, until := range n.out {
		if now >= until {
			delete(n.out, name)
		}
	}
	if n.message.full() {
		clear(n.known)
	}
}

// of returns the identities of all series of a dictionary, which may have grown
// since the last call. Only the last dictionary of each source is remembered:
// the log is read forward.
func (n *identities) of(dict *dictionary) *identityList {
	t := n.known[dict.source]
	if t == nil {
		if len(n.known) >= maxSources {
			clear(n.known)
		}
		t = &identityList{}
		n.known[dict.source] = t
	}
	if t.dict != dict {
		t.dict, t.text, t.ends = dict, t.text[:0], t.ends[:0]
	}
	for len(t.ends) < len(dict.series) {
		s := &dict.series[len(t.ends)]
		if ls := n.labels(s.labels); ls != nil {
			t.text = n.message.identify(t.text, s.desc, ls)
		}
		t.ends = append(t.ends, len(t.text))
	}
	return t
}

// labels returns what the rules leave of the labels of a series; nil if they
// drop it, or all of its labels.
func (n *identities) labels(ls []metric.Label) labelRange {
	if len(ls) == 0 {
		return nil // the log has lost the labels of this series: rules must not give it others
	}
	if len(n.rules) == 0 {
		return func(yield func(name, value string)) {
			for _, l := range ls {
				yield(l.Name, l.Value)
			}
		}
	}
	n.builder.Reset(labels.EmptyLabels())
	for _, l := range ls {
		n.builder.Set(l.Name, l.Value)
	}
	if !relabel.ProcessBuilder(n.builder, n.rules...) {
		return nil
	}
	left := n.builder.Labels() // sorted by name, none empty
	if left.IsEmpty() {
		return nil
	}
	return func(yield func(name, value string)) {
		left.Range(func(l labels.Label) { yield(l.Name, l.Value) })
	}
}

// leave leaves a series out of all requests until the given time.
func (n *identities) leave(text []byte, until int64) { n.out[string(text)] = until }

// leftOut reports whether a series is left out at present.
func (n *identities) leftOut(text []byte) bool {
	if len(n.out) == 0 {
		return false
	}
	_, ok := n.out[string(text)]
	return ok
}
