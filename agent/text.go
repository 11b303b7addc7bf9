package agent

import (
	"bufio"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"nodepush/metric"
)

// writeText writes samples in the Prometheus text format 0.0.4: a HELP and a
// TYPE line for each family, families in the order of their names, samples of
// a family in the order given. Native histograms have no form in it and are
// left out.
//
// https://prometheus.io/docs/instrumenting/exposition_formats/
func writeText(w io.Writer, samples []metric.Sample) error {
	families := make(map[string][]metric.Sample)
	var names []string
	for _, s := range samples {
		name := s.Desc.FamilyName()
		if families[name] == nil {
			names = append(names, name)
		}
		families[name] = append(families[name], s)
	}
	slices.Sort(names)
	out := bufio.NewWriter(w)
	var line []byte
	for _, name := range names {
		d := families[name][0].Desc
		line = append(line[:0], "# HELP "+name+" "+helpEscape.Replace(d.Help)+"\n"...)
		line = append(line, "# TYPE "+name+" "+textType(d.Type)+"\n"...)
		for _, s := range families[name] {
			if s.Ext == nil || s.Ext.Histogram == nil {
				line = appendSample(line, s)
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

var (
	helpEscape  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// textType names a type in the text format, which knows five.
func textType(t metric.Type) string {
	switch t {
	case metric.Counter, metric.Gauge, metric.Histogram, metric.Summary:
		return t.String()
	case metric.Info, metric.StateSet:
		return metric.Gauge.String()
	}
	return metric.Unknown.String()
}

// appendSample appends a sample's line. A label with an empty value is none.
func appendSample(line []byte, s metric.Sample) []byte {
	line = append(line, s.Desc.Name...)
	between := byte('{')
	for i, name := range s.Desc.Labels {
		if s.Values[i] == "" {
			continue
		}
		line = append(append(line, between), name...)
		line = append(line, `="`...)
		line = append(line, valueEscape.Replace(s.Values[i])...)
		line = append(line, '"')
		between = ','
	}
	if between == ',' {
		line = append(line, '}')
	}
	line = append(line, ' ')
	return append(appendValue(line, s.Value), '\n')
}

// appendValue appends a value as the text format writes it.
func appendValue(line []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(line, "+Inf"...)
	case math.IsInf(v, -1):
		return append(line, "-Inf"...)
	}
	return strconv.AppendFloat(line, v, 'g', -1, 64)
}
