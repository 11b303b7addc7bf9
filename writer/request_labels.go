package writer

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
)

// identities knows what each series is called at one receiver: its labels
// after write_relabel_configs, encoded once for each dictionary.
type identities struct {
	rules   []*relabel.Config
	builder *labels.Builder
	known   map[string]*labelTexts // by source
	out     map[string]int64       // encoded labels of series that are left out, until when (ms)
}

// maxSources bounds the sources remembered, so that those that are gone do
// not gather.
const maxSources = 256

func newIdentities(rules []*relabel.Config) *identities {
	return &identities{
		rules:   rules,
		builder: labels.NewBuilder(labels.EmptyLabels()),
		known:   make(map[string]*labelTexts),
		out:     make(map[string]int64),
	}
}

// labelTexts holds the labels fields of TimeSeries of a dictionary's series.
type labelTexts struct {
	dict *dictionary
	text []byte
	ends []int // ends[id] is where the text of id ends and that of id+1 begins
}

// at returns the labels of a series; empty: its series is not for this receiver.
func (t *labelTexts) at(id int) []byte {
	start := 0
	if id > 0 {
		start = t.ends[id-1]
	}
	return t.text[start:t.ends[id]]
}

// of returns the labels of all series of a dictionary, which may have grown
// since the last call. Only the last dictionary of each source is remembered:
// the log is read forward.
func (n *identities) of(dict *dictionary) *labelTexts {
	t := n.known[dict.source]
	if t == nil {
		if len(n.known) >= maxSources {
			clear(n.known)
		}
		t = &labelTexts{}
		n.known[dict.source] = t
	}
	if t.dict != dict {
		t.dict, t.text, t.ends = dict, t.text[:0], t.ends[:0]
	}
	for _, s := range dict.series[len(t.ends):] {
		t.text = n.append(t.text, s.labels)
		t.ends = append(t.ends, len(t.text))
	}
	return t
}

// append appends the encoded labels of a series, or nothing if the rules
// drop it or leave it without a label.
func (n *identities) append(dst []byte, ls []metric.Label) []byte {
	if len(n.rules) == 0 {
		for _, l := range ls {
			dst = appendLabelField(dst, l.Name, l.Value)
		}
		return dst
	}
	n.builder.Reset(labels.EmptyLabels())
	for _, l := range ls {
		n.builder.Set(l.Name, l.Value)
	}
	if !relabel.ProcessBuilder(n.builder, n.rules...) {
		return dst
	}
	n.builder.Labels().Range(func(l labels.Label) { // sorted by name, none empty
		dst = appendLabelField(dst, l.Name, l.Value)
	})
	return dst
}

// appendLabelField appends field TimeSeries.labels.
func appendLabelField(dst []byte, name, value string) []byte {
	n := 2 + uvarintLen(uint64(len(name))) + len(name) + uvarintLen(uint64(len(value))) + len(value)
	dst = binary.AppendUvarint(append(dst, tagLabel), uint64(n))
	dst = binary.AppendUvarint(append(dst, tagName), uint64(len(name)))
	dst = append(dst, name...)
	dst = binary.AppendUvarint(append(dst, tagText), uint64(len(value)))
	return append(dst, value...)
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

// forget takes back in the series whose time is over.
func (n *identities) forget(now int64) {
	for text, until := range n.out {
		if now >= until {
			delete(n.out, text)
		}
	}
}
