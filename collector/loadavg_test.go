package collector

import "testing"

func FuzzLoadavg(f *testing.F) {
	f.Add("0.20 0.18 0.12 1/80 11206\n")
	f.Add("0.20 x 0.12\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzCollector(t, "loadavg", "proc/loadavg", text) })
}
