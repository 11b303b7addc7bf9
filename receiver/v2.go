package receiver

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"nodepush/metric"
)

// message2 is the message of protocol 2.0.
type message2 struct{ writev2.Request }

// decode2 turns an uncompressed body into a checked message: every reference
// in it can be followed.
func decode2(raw []byte) (message, error) {
	if _, err := request2Shape.memory(raw); err != nil {
		return nil, fmt.Errorf("body is no io.prometheus.write.v2.Request: %w", err)
	}
	m := new(message2)
	if err := m.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("body is no io.prometheus.write.v2.Request: %w", err)
	}
	if err := checkSymbols(m.Symbols); err != nil {
		return nil, err
	}
	c := checker2{symbols: m.Symbols}
	for i := range m.Timeseries {
		if err := c.checkSeries(&m.Timeseries[i]); err != nil {
			return nil, fmt.Errorf("time series %d: %w", i, err)
		}
	}
	return m, nil
}

// checkSymbols holds the rules of the specification, section "Symbols".
func checkSymbols(symbols []string) error {
	if len(symbols) == 0 {
		return errors.New("no symbols; the first must be the empty string")
	}
	if symbols[0] != "" {
		return fmt.Errorf("symbol 0 is %q; it must be the empty string", symbols[0])
	}
	seen := make(map[string]int, len(symbols))
	for i, s := range symbols {
		if first, again := seen[s]; again {
			return fmt.Errorf("symbol %d is symbol %d again: %q", i, first, s)
		}
		if !utf8.ValidString(s) {
			return fmt.Errorf("symbol %d is not UTF-8: %q", i, s)
		}
		seen[s] = i
	}
	return nil
}

// checker2 checks what refers to symbols.
type checker2 struct {
	symbols []string
	scratch []metric.Label
	memory  int // what all labels so far take with their symbols put in
}

// checkSeries holds the rules of the specification, section "Protobuf
// Message", for one time series.
func (c *checker2) checkSeries(ts *writev2.TimeSeries) error {
	if len(ts.LabelsRefs) == 0 {
		return errors.New("no labels")
	}
	labels, err := c.follow(ts.LabelsRefs)
	if err != nil {
		return err
	}
	if err := checkSeriesLabels(labels); err != nil {
		return err
	}
	if err := cmp.Or(checkValues2(ts), c.checkMetadata(&ts.Metadata)); err != nil {
		return fmt.Errorf("%w in %s", err, text(labels))
	}
	for i := range ts.Exemplars {
		if err := c.checkExemplar(&ts.Exemplars[i]); err != nil {
			return fmt.Errorf("exemplar %d: %w", i, err)
		}
	}
	return nil
}

// follow returns the labels that refs stand for; they are good until it is
// called again. A few bytes of references can name a long symbol any number of
// times, so what the labels take is bounded too.
func (c *checker2) follow(refs []uint32) ([]metric.Label, error) {
	if len(refs)%2 != 0 {
		return nil, fmt.Errorf("%d references to symbols; they must be pairs of a name and a value", len(refs))
	}
	for _, ref := range refs {
		if err := c.checkRef("label", ref); err != nil {
			return nil, err
		}
		if c.memory += int(unsafe.Sizeof("")) + len(c.symbols[ref]); c.memory > maxMemory {
			return nil, fmt.Errorf("the labels of the message take more than %d bytes", maxMemory)
		}
	}
	c.scratch = labels2(c.scratch[:0], c.symbols, refs)
	return c.scratch, nil
}

// checkRef refuses a reference that leads nowhere.
func (c *checker2) checkRef(what string, ref uint32) error {
	if uint64(ref) >= uint64(len(c.symbols)) {
		return fmt.Errorf("%s reference %d; the message has symbols 0 to %d", what, ref, len(c.symbols)-1)
	}
	return nil
}

func (c *checker2) checkMetadata(m *writev2.Metadata) error {
	return cmp.Or(checkType(int32(m.Type)), c.checkRef("help", m.HelpRef), c.checkRef("unit", m.UnitRef))
}

// checkExemplar asks of an exemplar's labels what a series' must be, but for
// the metric name: write/v2/types.proto wants them in pairs and sorted.
func (c *checker2) checkExemplar(e *writev2.Exemplar) error {
	labels, err := c.follow(e.LabelsRefs)
	if err != nil {
		return err
	}
	if err := checkLabels(labels); err != nil {
		return err
	}
	if e.Timestamp == 0 {
		return fmt.Errorf("no timestamp in %s", text(labels))
	}
	return nil
}

// checkValues2 holds the rules for the samples and histograms of a time
// series by themselves.
func checkValues2(ts *writev2.TimeSeries) error {
	switch {
	case len(ts.Samples) == 0 && len(ts.Histograms) == 0:
		return errors.New("neither a sample nor a histogram")
	case len(ts.Samples) > 0 && len(ts.Histograms) > 0:
		return errors.New("samples and histograms; only one of them is allowed")
	}
	for i, v := range ts.Samples {
		if v.StartTimestamp > v.Timestamp && v.StartTimestamp != 0 {
			return fmt.Errorf("sample %d: start timestamp %d is after its timestamp %d", i, v.StartTimestamp, v.Timestamp)
		}
	}
	for i, h := range ts.Histograms {
		if h.StartTimestamp > h.Timestamp && h.StartTimestamp != 0 {
			return fmt.Errorf("histogram %d: start timestamp %d is after its timestamp %d", i, h.StartTimestamp, h.Timestamp)
		}
	}
	return nil
}

// write stores the samples of m that fit, and says how many do not and why. A
// store that is full makes the sender come again with all of it, so then
// nothing is stored; both as in Prometheus.
func (m *message2) write(s *store, now time.Time) (written, error) {
	var n written
	var bad rejects
	err := s.transact(now, func() error {
		for i := range m.Timeseries {
			if err := s.write2(m.Symbols, &m.Timeseries[i], &n, &bad); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return written{}, err
	}
	return n, bad.err(n)
}

// rejects are the samples of a message that were not stored.
type rejects struct {
	count int
	first error
}

func (r *rejects) err(n written) error {
	if r.count == 0 {
		return nil
	}
	return refuse(http.StatusBadRequest, "%d of %d samples and histograms are not stored, the first of them: %v",
		r.count, r.count+n.samples+n.histograms, r.first)
}

// write2 stores the samples of a time series that fit and counts all of them.
// Exemplars and metadata are of the series: they stay when there is one.
func (s *store) write2(symbols []string, ts *writev2.TimeSeries, n *written, bad *rejects) error {
	s.labels = labels2(s.labels[:0], symbols, ts.LabelsRefs)
	into, err := s.find()
	if err != nil {
		return err
	}
	for _, v := range ts.Samples {
		if err := s.write2Sample(into, Sample{Time: v.Timestamp, Value: v.Value, Start: v.StartTimestamp}, &n.samples, bad); err != nil {
			return err
		}
	}
	for i := range ts.Histograms {
		h := &ts.Histograms[i]
		v := Sample{Time: h.Timestamp, Histogram: histogram(h), Start: h.StartTimestamp}
		if err := s.write2Sample(into, v, &n.histograms, bad); err != nil {
			return err
		}
	}
	if into.count == 0 {
		s.forget(into)
		return nil
	}
	into.Metadata = Metadata{metric.Type(ts.Metadata.Type), symbols[ts.Metadata.UnitRef], symbols[ts.Metadata.HelpRef]}
	s.exemplars += uint64(len(ts.Exemplars))
	n.exemplars += len(ts.Exemplars)
	return nil
}

// write2Sample stores v and counts it in n, or in bad.
func (s *store) write2Sample(into *series, v Sample, n *int, bad *rejects) error {
	if reason := s.misfit(into, v); reason != "" {
		if bad.count++; bad.count == 1 {
			bad.first = misfits(reason, into, v)
		}
		return nil
	}
	*n++
	return s.add(into, v)
}

// labels2 appends the labels that checked refs stand for to dst.
func labels2(dst []metric.Label, symbols []string, refs []uint32) []metric.Label {
	for i := 0; i+1 < len(refs); i += 2 {
		dst = append(dst, metric.Label{Name: symbols[refs[i]], Value: symbols[refs[i+1]]})
	}
	return dst
}

// histogram returns h as 1.0 would have sent it: the fields have the same
// numbers, and only the start timestamp is new.
func histogram(h *writev2.Histogram) *prompb.Histogram {
	c, old := *h, new(prompb.Histogram)
	c.StartTimestamp = 0
	b, err := c.Marshal()
	if err == nil {
		err = old.Unmarshal(b)
	}
	if err != nil {
		panic("receiver: a histogram of 2.0 is none of 1.0: " + err.Error()) // both decode the same bytes
	}
	return old
}
