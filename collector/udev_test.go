package collector

import (
	"testing"

	"nodepush/metric"
)

const oneDisk = "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"

func TestUdev(t *testing.T) {
	const info = `node_disk_info{device="sda",major="8",minor="0",`
	tests := []struct {
		name, udev, rotational string
		want                   map[string]float64
	}{
		{"scsi serial first", "E:SCSI_IDENT_SERIAL=a\nE:ID_SERIAL_SHORT=b\nE:ID_SERIAL=c\n", "1\n", map[string]float64{info + `serial="a",rotational="1"}`: 1}},
		{"then the short one", "E:ID_SERIAL=c\nE:ID_SERIAL_SHORT=b\n", "0\n", map[string]float64{info + `serial="b",rotational="0"}`: 1}},
		{"then the long one", "E:ID_SERIAL=c\n", "x", map[string]float64{info + `serial="c",rotational="0"}`: 1}},
		{"last value holds", "E:ID_MODEL=a\nE:ID_MODEL=b=c\n", "", map[string]float64{info + `model="b=c",rotational="0"}`: 1}},
		{"other lines", "S:disk/by-id\nID_MODEL=a\nE:ID_MODEL\nE:=b\n", "2\n", map[string]float64{info + `rotational="0"}`: 1}},
		{"ata without ATA", "E:ID_ATA_WRITE_CACHE=1\n", "", map[string]float64{info + `rotational="0"}`: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := hostWith(t, map[string]string{"proc/diskstats": oneDisk, "udev/b8:0": tt.udev, "sys/block/sda/queue/rotational": tt.rotational})
			got, err := collectOnce(t, makeOne(t, h, "diskstats", Options{}))
			if err != nil {
				t.Fatal(err)
			}
			wantSeries(t, got, tt.want)
			if len(got) != 11+len(tt.want) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestUdevMalformedATA(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/diskstats": oneDisk, "udev/b8:0": "E:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=yes\nE:ID_ATA_ROTATION_RATE_RPM=7200\n"})
	got, err := collectOnce(t, makeOne(t, h, "diskstats", Options{}))
	wantError(t, err, "udev/b8:0", `"yes"`, "ID_ATA_WRITE_CACHE")
	wantSeries(t, got, map[string]float64{`node_disk_ata_rotation_rate_rpm{device="sda"}`: 7200})
}

// sysfs writes the slash of old RAID controllers' names as '!'.
func TestRotationalOfDeviceWithSlash(t *testing.T) {
	h := hostWith(t, map[string]string{"proc/diskstats": "104 0 cciss/c0d0 1 2 3 4 5 6 7 8 9 10 11\n", "sys/block/cciss!c0d0/queue/rotational": "1\n"})
	got, _ := collectOnce(t, makeOne(t, h, "diskstats", Options{}))
	wantSeries(t, got, map[string]float64{`node_disk_info{device="cciss/c0d0",major="104",minor="0",rotational="1"}`: 1})
}

func FuzzUdev(f *testing.F) {
	f.Add([]byte("E:ID_MODEL=a\nE:DM_NAME=x\n\nE:\nE"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p udevProperties
		var dst metric.Buffer
		p.parse(text, &dst)
	})
}
