package metric

// Buffer collects the samples of one collector in one round. Its zero value
// is ready. It is owned by one goroutine at a time; Reset takes back
// everything it gave out, so nobody may hold its samples across a Reset.
type Buffer struct {
	// Start is that of the samples added from now on, until Reset: when their
	// counters began, if not with the source.
	Start int64

	samples []Sample
	values  []string          // backing store of Sample.Values
	strings map[string]string // texts seen lately, so that a name read every round is allocated once
}

// maxStrings bounds the intern table: names that come and go (veth
// interfaces, say) must not gather for ever.
const maxStrings = 16384

// Add appends a sample of d. The label values are given in the order of
// d.Labels; a wrong number of them is a mistake of the caller.
func (b *Buffer) Add(d *Desc, value float64, labelValues ...string) {
	if len(labelValues) != len(d.Labels) {
		panic("metric: " + d.Name + " added with a wrong number of label values")
	}
	n := len(b.values)
	b.values = append(b.values, labelValues...)
	b.samples = append(b.samples, Sample{Desc: d, Values: b.values[n:len(b.values):len(b.values)], Value: value, Start: b.Start})
}

// Samples returns what was added since the last Reset, in that order.
func (b *Buffer) Samples() []Sample { return b.samples }

// Len returns the number of samples.
func (b *Buffer) Len() int { return len(b.samples) }

// Truncate takes back all but the first n samples.
func (b *Buffer) Truncate(n int) { b.samples = b.samples[:n] }

// String returns text as a string, without allocating when the same text was
// asked for before.
func (b *Buffer) String(text []byte) string {
	if s, ok := b.strings[string(text)]; ok {
		return s
	}
	if b.strings == nil || len(b.strings) >= maxStrings {
		b.strings = make(map[string]string)
	}
	s := string(text)
	b.strings[s] = s
	return s
}

// Reset empties the buffer and keeps its memory.
func (b *Buffer) Reset() {
	clear(b.samples) // do not keep vanished Ext alive
	b.samples, b.values, b.Start = b.samples[:0], b.values[:0], 0
}
