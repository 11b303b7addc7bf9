package collector

import (
	"strings"
	"testing"
)

func TestParseDiskstatsLine(t *testing.T) {
	tests := []struct {
		name, in string
		n        int // columns
		ok       bool
	}{
		{"Linux 2.6", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11", 11, true},
		{"Linux 4.18", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", 15, true},
		{"Linux 5.5", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", 17, true},
		{"a later one", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", 17, true},
		{"ten", "8 0 sda 1 2 3 4 5 6 7 8 9 10", 0, false},
		{"no name", "8 0", 0, false},
		{"no minor", "8 x sda 1 2 3 4 5 6 7 8 9 10 11", 0, false},
		{"negative", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 -12", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseDiskstatsLine([]byte(tt.in))
			if ok != tt.ok {
				t.Fatalf("parseDiskstatsLine(%q): ok %v", tt.in, ok)
			}
			if ok && (got.n != tt.n || string(got.name) != "sda" || got.major != 8 || got.columns[10] != 11) {
				t.Errorf("parseDiskstatsLine(%q) = %+v", tt.in, got)
			}
		})
	}
}

func TestDiskstatsFilter(t *testing.T) {
	devices := []string{"sda", "sda1", "nvme0n1", "nvme0n1p2", "loop3", "ram0", "zram0", "mmcblk0p1", "dm-0", "md0", "vdb", "vdb2", "fd0"}
	tests := []struct {
		name string
		o    DiskstatsOptions
		want string
	}{
		{"default", DiskstatsOptions{}, "sda nvme0n1 mmcblk0p1 dm-0 md0 vdb"},
		{"nothing excluded", DiskstatsOptions{DeviceExclude: ptr("")}, strings.Join(devices, " ")},
		{"exclude", DiskstatsOptions{DeviceExclude: ptr("^(sd|nvme|md|vd|f|l|m)")}, "ram0 zram0 dm-0"},
		{"include lifts the default exclude", DiskstatsOptions{DeviceInclude: ptr("^sda")}, "sda sda1"},
		{"include with an empty exclude", DiskstatsOptions{DeviceInclude: ptr("^fd"), DeviceExclude: ptr("")}, "fd0"},
		{"empty include", DiskstatsOptions{DeviceInclude: ptr("")}, "sda nvme0n1 mmcblk0p1 dm-0 md0 vdb"},
	}
	text := ""
	for _, d := range devices {
		text += "8 0 " + d + " 1 2 3 4 5 6 7 8 9 10 11\n"
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{"proc/diskstats": text}), "diskstats", Options{Diskstats: tt.o}))
			if err != nil {
				t.Fatal(err)
			}
			var shown []string
			for _, d := range devices {
				if _, ok := got[`node_disk_io_now{device="`+d+`"}`]; ok {
					shown = append(shown, d)
				}
			}
			if strings.Join(shown, " ") != tt.want {
				t.Errorf("shown %q, want %q", shown, tt.want)
			}
		})
	}
}

func TestDiskstatsWithoutDevices(t *testing.T) {
	got, err := collectOnce(t, makeOne(t, hostWith(t, map[string]string{"proc/diskstats": ""}), "diskstats", Options{}))
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzDiskstats(f *testing.F) {
	f.Add("8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n 8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n")
	f.Add("8 0 ../../x 1 2 3 4 5 6 7 8 9 10 11\n")
	f.Fuzz(func(t *testing.T, text string) { fuzzCollector(t, "diskstats", "proc/diskstats", text) })
}
