package receiver

import (
	"fmt"
	"maps"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/prompb"

	"nodepush/metric"
)

// message1 is the message of protocol 1.0.
type message1 struct{ prompb.WriteRequest }

// decode1 turns an uncompressed body into a checked message.
func decode1(raw []byte) (message, error) {
	if _, err := request1Shape.memory(raw); err != nil {
		return nil, fmt.Errorf("body is no WriteRequest: %w", err)
	}
	m := new(message1)
	if err := m.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("body is no WriteRequest: %w", err)
	}
	var labels []metric.Label
	for i := range m.Timeseries {
		labels = labels1(labels[:0], m.Timeseries[i].Labels)
		if err := checkSeriesLabels(labels); err != nil {
			return nil, fmt.Errorf("time series %d: %w", i, err)
		}
	}
	for i := range m.Metadata {
		if err := checkMetadata1(&m.Metadata[i]); err != nil {
			return nil, fmt.Errorf("metadata %d: %w", i, err)
		}
	}
	return m, nil
}

// labels1 appends labels to dst.
func labels1(dst []metric.Label, labels []prompb.Label) []metric.Label {
	for _, l := range labels {
		dst = append(dst, metric.Label{Name: l.Name, Value: l.Value})
	}
	return dst
}

// checkMetadata1 refuses the description of a family that cannot be one. The
// specification does not know them; types.proto does.
func checkMetadata1(m *prompb.MetricMetadata) error {
	switch {
	case m.MetricFamilyName == "":
		return fmt.Errorf("no name of a metric family")
	case !utf8.ValidString(m.MetricFamilyName) || !utf8.ValidString(m.Help) || !utf8.ValidString(m.Unit):
		return fmt.Errorf("%q, %q, %q is not UTF-8", m.MetricFamilyName, m.Unit, m.Help)
	}
	return checkType(int32(m.Type))
}

// checkType refuses a number that is no type of a metric family.
func checkType(t int32) error {
	if t < 0 || t > int32(metric.StateSet) {
		return fmt.Errorf("type %d; 0 to %d are allowed", t, metric.StateSet)
	}
	return nil
}

// write stores all of m, or nothing and says why.
func (m *message1) write(s *store, now time.Time) (written, error) {
	return written{}, s.transact(now, func() error {
		for i := range m.Timeseries {
			if err := s.write1(&m.Timeseries[i]); err != nil {
				return err
			}
		}
		return s.describe1(m.Metadata)
	})
}

// write1 stores a time series up to the first sample that does not fit.
func (s *store) write1(ts *prompb.TimeSeries) error {
	s.exemplars += uint64(len(ts.Exemplars))
	if len(ts.Samples) == 0 && len(ts.Histograms) == 0 {
		return nil
	}
	s.labels = labels1(s.labels[:0], ts.Labels)
	into, err := s.find()
	if err != nil {
		return err
	}
	for _, v := range ts.Samples {
		if err := s.write1Sample(into, Sample{Time: v.Timestamp, Value: v.Value}); err != nil {
			return err
		}
	}
	for i := range ts.Histograms {
		h := &ts.Histograms[i]
		if err := s.write1Sample(into, Sample{Time: h.Timestamp, Histogram: h}); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) write1Sample(into *series, v Sample) error {
	if reason := s.misfit(into, v); reason != "" {
		return misfits(reason, into, v)
	}
	return s.add(into, v)
}

// describe1 keeps what is said of metric families. It changes a copy, so that
// a request that fails leaves the map as it was.
func (s *store) describe1(families []prompb.MetricMetadata) error {
	if len(families) == 0 {
		return nil
	}
	known := maps.Clone(s.families)
	for _, m := range families {
		known[m.MetricFamilyName] = Metadata{metric.Type(m.Type), m.Unit, m.Help}
	}
	if len(known) > s.options.MaxSeries {
		return refuse(http.StatusInsufficientStorage, "metadata of more than %d families", s.options.MaxSeries)
	}
	s.families = known
	s.metadata += uint64(len(families))
	return nil
}
