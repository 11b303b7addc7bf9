package receiver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// decode turns a body into the message it carries and says how long it was
// without compression.
func decode(body []byte) (*prompb.WriteRequest, int, error) {
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "body is no snappy block: %v", err)
	}
	if n > maxBody {
		return nil, 0, refuse(http.StatusBadRequest, "body is %d bytes when decoded; at most %d are allowed", n, maxBody)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "body is no snappy block: %v", err)
	}
	if err := checkSizes(raw); err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "body is no WriteRequest: %v", err)
	}
	m := new(prompb.WriteRequest)
	if err := m.Unmarshal(raw); err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "body is no WriteRequest: %v", err)
	}
	for i := range m.Timeseries {
		if err := checkLabels(m.Timeseries[i].Labels); err != nil {
			return nil, 0, refuse(http.StatusBadRequest, "time series %d: %v", i, err)
		}
	}
	return m, len(raw), nil
}

// Numbers from the protobuf encoding and types.proto.
const (
	wireBytes      = 2      // wire type of what has a length
	fieldSeries    = 1      // WriteRequest.timeseries and TimeSeries.labels
	minSeriesBytes = 2 + 13 // a label __name__ with a name of one byte
	minLabelBytes  = 3      // a name of one byte; that it has no value is told better later
)

var errTruncated = errors.New("truncated field")

// checkSizes refuses time series and labels that are too short to be
// anything. They would decode to 64 times their size and more, so that a body
// within the limit could take gigabytes.
func checkSizes(message []byte) error {
	return eachMessage(message, func(field uint64, series []byte) error {
		if field != fieldSeries {
			return nil
		}
		if len(series) < minSeriesBytes {
			return fmt.Errorf("time series of %d bytes, which cannot hold a name", len(series))
		}
		return eachMessage(series, func(field uint64, label []byte) error {
			if field == fieldSeries && len(label) < minLabelBytes {
				return fmt.Errorf("label of %d bytes, which cannot hold a name", len(label))
			}
			return nil
		})
	})
}

// eachMessage calls f for each field of m. WriteRequest and TimeSeries consist
// of messages only, so a field of another wire type is an error.
func eachMessage(m []byte, f func(field uint64, payload []byte) error) error {
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return errTruncated
		}
		if tag&7 != wireBytes {
			return fmt.Errorf("field %d has wire type %d where a message is expected", tag>>3, tag&7)
		}
		m = m[n:]
		size, n := binary.Uvarint(m)
		if n <= 0 || size > uint64(len(m)-n) {
			return errTruncated
		}
		if err := f(tag>>3, m[n:n+int(size)]); err != nil {
			return err
		}
		m = m[n+int(size):]
	}
	return nil
}

// checkLabels holds the rules of the specification, section "Labels": sorted
// by name, no name twice, nothing empty, a metric name.
func checkLabels(labels []prompb.Label) error {
	named := false
	for i, l := range labels {
		switch {
		case l.Name == "":
			return fmt.Errorf("label with an empty name in %s", text(labels))
		case l.Value == "":
			return fmt.Errorf("label %s is empty in %s", l.Name, text(labels))
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return fmt.Errorf("label %q is not UTF-8 in %s", l.Name, text(labels))
		case i > 0 && l.Name == labels[i-1].Name:
			return fmt.Errorf("label %s comes twice in %s", l.Name, text(labels))
		case i > 0 && l.Name < labels[i-1].Name:
			return fmt.Errorf("label %s is not in order in %s", l.Name, text(labels))
		}
		named = named || l.Name == "__name__"
	}
	if !named {
		return fmt.Errorf("no label __name__ in %s", text(labels))
	}
	return nil
}

// text shows labels in an error.
func text(labels []prompb.Label) string {
	b := []byte{'{'}
	for i, l := range labels {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = fmt.Appendf(b, "%s=%q", l.Name, l.Value)
		if len(b) > 1024 {
			b = append(b, "…"...)
			break
		}
	}
	return string(append(b, '}'))
}
