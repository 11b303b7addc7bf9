package collector

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
)

// This Go has every source, and each is a whole number.
func TestGoSourcesExist(t *testing.T) {
	for _, name := range goSourceNames {
		i := slices.IndexFunc(metrics.All(), func(d metrics.Description) bool { return d.Name == name })
		if i < 0 || metrics.All()[i].Kind != metrics.KindUint64 {
			t.Errorf("%s: no such metric, or no whole number", name)
		}
	}
}

func TestGo(t *testing.T) {
	runtime.GC()
	limit := debug.SetMemoryLimit(1 << 40)
	defer debug.SetMemoryLimit(limit)
	c := makeOne(t, hostWith(t, nil), "go", Options{})
	got, err := collectOnce(t, c)
	if err != nil {
		t.Fatal(err)
	}
	wantSeries(t, got, map[string]float64{
		`go_info{version="` + runtime.Version() + `"}`: 1,
		"go_sched_gomaxprocs_threads":                  float64(runtime.GOMAXPROCS(0)),
		"go_gc_gomemlimit_bytes":                       1 << 40,
	})
	for series, v := range got {
		if v == 0 && !strings.Contains(series, "quantile") && series != "go_memstats_heap_released_bytes" && series != "go_memstats_buck_hash_sys_bytes" {
			t.Errorf("%s = 0", series)
		}
	}
	for _, q := range gcQuantiles {
		if _, ok := got[`go_gc_duration_seconds{quantile="`+q+`"}`]; !ok {
			t.Errorf("no quantile %s", q)
		}
	}
	if len(got) != len(c.Descs())+len(gcQuantiles)-1 {
		t.Errorf("%d series of %d descriptions", len(got), len(c.Descs()))
	}
}

// The sums are those of runtime.MemStats, which client_golang's names come from.
func TestGoAgreesWithMemStats(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	c := makeOne(t, hostWith(t, nil), "go", Options{})
	runtime.ReadMemStats(&before)
	got, err := collectOnce(t, c)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	for name, between := range map[string][2]uint64{
		"go_memstats_alloc_bytes_total": {before.TotalAlloc, after.TotalAlloc},
		"go_memstats_mallocs_total":     {before.Mallocs, after.Mallocs},
		"go_memstats_frees_total":       {before.Frees, after.Frees},
		"go_memstats_sys_bytes":         {before.Sys, after.Sys},
		"go_memstats_heap_sys_bytes":    {before.HeapSys, after.HeapSys},
		"go_memstats_other_sys_bytes":   {before.OtherSys, after.OtherSys},
		"go_memstats_gc_sys_bytes":      {before.GCSys, after.GCSys},
		"go_memstats_mspan_sys_bytes":   {before.MSpanSys, after.MSpanSys},
		"go_gc_duration_seconds_count":  {uint64(before.NumGC), uint64(after.NumGC)},
	} {
		low, high := float64(min(between[0], between[1])), float64(max(between[0], between[1]))
		const slack = 256 << 10 // caches are flushed to the statistics now and then
		if v := got[name]; v < low-slack || v > high+slack {
			t.Errorf("%s = %v, MemStats has %v to %v", name, v, low, high)
		}
	}
}
