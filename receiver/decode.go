package receiver

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/golang/snappy"

	"nodepush/metric"
)

// decode turns a body into the message it carries and says how long it was
// without compression.
func decode(body []byte, p protocol) (message, int, error) {
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
	var m message
	if p == protocol2 {
		m, err = decode2(raw)
	} else {
		m, err = decode1(raw)
	}
	if err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "%v", err)
	}
	return m, len(raw), nil
}

// checkSeriesLabels holds the rules of both specifications, sections "Labels"
// and "Series Labels", for the labels of a series: those of checkLabels and a
// metric name.
func checkSeriesLabels(labels []metric.Label) error {
	if err := checkLabels(labels); err != nil {
		return err
	}
	for _, l := range labels {
		if l.Name == "__name__" {
			return nil
		}
	}
	return fmt.Errorf("no label __name__ in %s", text(labels))
}

// checkLabels refuses labels that are not sorted by name, come twice, have an
// empty name or value, or are no UTF-8.
func checkLabels(labels []metric.Label) error {
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
	}
	return nil
}

// text shows labels in an error.
func text(labels []metric.Label) string {
	b := []byte{'{'}
	for i, l := range labels {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = fmt.Appendf(b, "%s=%q", l.Name, l.Value)
		if len(b) > maxText/2 {
			b = append(b, "…"...)
			break
		}
	}
	return string(append(b, '}'))
}
