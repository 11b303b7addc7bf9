package collector

import "testing"

func TestMeminfo(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/meminfo": "MemTotal:       24682420 kB\nActive(anon):       12 kB\nHugePages_Total:      16\nHugepagesize:       2048 kB\nNewInSomeKernel:       3 kB\n"})
	got, err := collectOnce(t, makeOne(t, h, "meminfo", Options{}))
	if err != nil {
		t.Fatal(err)
	}
	wantSeries(t, got, map[string]float64{
		"node_memory_MemTotal_bytes": 24682420 * 1024, "node_memory_Active_anon_bytes": 12288,
		"node_memory_HugePages_Total": 16, "node_memory_Hugepagesize_bytes": 2 << 20,
	})
	if len(got) != 4 {
		t.Errorf("got %v, want 4 series: fields that are not on the list are not shown", got)
	}
}

// node_exporter 1.12 has 47 fields in bytes and 4 numbers of huge pages;
// 7 more are from the days when it showed all.
func TestMeminfoFields(t *testing.T) {
	if len(memFields) != 51+7 {
		t.Errorf("%d fields", len(memFields))
	}
}

func FuzzMeminfo(f *testing.F) {
	f.Add("MemTotal: 1 kB\nHugePages_Total: 2\n")
	f.Add("MemTotal: 1 kB\nMemTotal: 1 kB\n:\n: 1\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzCollector(t, "meminfo", "proc/meminfo", text) })
}
