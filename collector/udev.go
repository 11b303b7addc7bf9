package collector

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"

	"nodepush/metric"
)

// udev reads what udev found out about a block device: the lines "E:KEY=value"
// of /run/udev/data/bMAJOR:MINOR. In a container the directory is usually
// missing; the labels that come from it are then empty.
// https://www.freedesktop.org/software/systemd/man/latest/udevadm.html
type udev struct {
	reader
	dir string
}

// udevKey is the place of a property in udevProperties.
type udevKey int

const (
	dmLVLayer udevKey = iota
	dmLVName
	dmName
	dmUUID
	dmVGName
	idATA
	idATARotation
	idATACache
	idATACacheEnabled
	idFSType
	idFSUsage
	idFSUUID
	idFSVersion
	idModel
	idPath
	idRevision
	idSerial
	idSerialShort
	idWWN
	scsiSerial
	udevKeys
)

var udevNames = [udevKeys]string{
	dmLVLayer: "DM_LV_LAYER", dmLVName: "DM_LV_NAME", dmName: "DM_NAME", dmUUID: "DM_UUID", dmVGName: "DM_VG_NAME",
	idATA: "ID_ATA", idATARotation: "ID_ATA_ROTATION_RATE_RPM", idATACache: "ID_ATA_WRITE_CACHE", idATACacheEnabled: "ID_ATA_WRITE_CACHE_ENABLED",
	idFSType: "ID_FS_TYPE", idFSUsage: "ID_FS_USAGE", idFSUUID: "ID_FS_UUID", idFSVersion: "ID_FS_VERSION",
	idModel: "ID_MODEL", idPath: "ID_PATH", idRevision: "ID_REVISION", idSerial: "ID_SERIAL", idSerialShort: "ID_SERIAL_SHORT", idWWN: "ID_WWN",
	scsiSerial: "SCSI_IDENT_SERIAL",
}

// udevProperties are the values of a device; "" for those it does not have.
type udevProperties [udevKeys]string

var (
	diskInfo = &metric.Desc{
		Name: "node_disk_info", Type: metric.Gauge,
		Labels: []string{"device", "major", "minor", "path", "wwn", "model", "serial", "revision", "rotational"},
		Help:   "Always 1; the labels identify the device. What udev does not know is empty.",
	}
	diskFilesystem = &metric.Desc{
		Name: "node_disk_filesystem_info", Type: metric.Gauge, Labels: []string{"device", "type", "usage", "uuid", "version"},
		Help: "Always 1; the labels say what file system, swap or RAID member udev found on the device.",
	}
	diskMapper = &metric.Desc{
		Name: "node_disk_device_mapper_info", Type: metric.Gauge, Labels: []string{"device", "name", "uuid", "vg_name", "lv_name", "lv_layer"},
		Help: "Always 1; the labels say what a device of the device mapper stands for, an LVM volume for instance.",
	}
	ataWriteCache = &metric.Desc{
		Name: "node_disk_ata_write_cache", Type: metric.Gauge, Labels: deviceLabel,
		Help: "Whether an ATA disk has a write cache.",
	}
	ataWriteCacheEnabled = &metric.Desc{
		Name: "node_disk_ata_write_cache_enabled", Type: metric.Gauge, Labels: deviceLabel,
		Help: "Whether the write cache of an ATA disk is switched on.",
	}
	ataRotationRate = &metric.Desc{
		Name: "node_disk_ata_rotation_rate_rpm", Type: metric.Gauge, Labels: deviceLabel,
		Help: "Rotations per minute of an ATA disk; 0 if nothing turns.",
	}
)

// add shows what the device called name is.
func (u *udev) add(name string, d *disk, dst *metric.Buffer) error {
	rotational := "0" // as long as the device does not say so
	if v, err := u.readUint(d.rotational); err == nil && v == 1 {
		rotational = "1"
	}
	var p udevProperties
	text, errRead := u.read(d.properties)
	errRead = unlessAbsent(errRead)
	p.parse(text, dst)
	serial := cmp.Or(p[scsiSerial], p[idSerialShort], p[idSerial])
	dst.Add(diskInfo, 1, name, d.number[0], d.number[1], p[idPath], p[idWWN], p[idModel], serial, p[idRevision], rotational)
	if p[idFSType] != "" {
		dst.Add(diskFilesystem, 1, name, p[idFSType], p[idFSUsage], p[idFSUUID], p[idFSVersion])
	}
	if p[dmName] != "" {
		dst.Add(diskMapper, 1, name, p[dmName], p[dmUUID], p[dmVGName], p[dmLVName], p[dmLVLayer])
	}
	return errors.Join(errRead, addATA(name, d, &p, dst))
}

// addATA shows the numbers that only ATA disks have.
func addATA(name string, d *disk, p *udevProperties, dst *metric.Buffer) error {
	if p[idATA] == "" {
		return nil
	}
	var problems []error
	for _, a := range [...]struct {
		desc *metric.Desc
		key  udevKey
	}{{ataWriteCache, idATACache}, {ataWriteCacheEnabled, idATACacheEnabled}, {ataRotationRate, idATARotation}} {
		if p[a.key] == "" {
			continue
		}
		v, err := strconv.ParseUint(p[a.key], 10, 64)
		if err != nil {
			problems = append(problems, malformed(d.properties, 0, []byte(p[a.key]), "a number for "+udevNames[a.key]))
			continue
		}
		dst.Add(a.desc, float64(v), name)
	}
	return errors.Join(problems...)
}

// parse takes the properties out of a udev file and leaves its other lines.
// A property that stands there twice has its last value.
func (p *udevProperties) parse(text []byte, dst *metric.Buffer) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		property, ok := bytes.CutPrefix(line, []byte("E:"))
		if !ok {
			continue
		}
		name, value, ok := bytes.Cut(property, []byte{'='})
		if key, known := udevKeyOf(name); ok && known {
			p[key] = label(dst.String(value))
		}
	}
}

func udevKeyOf(name []byte) (udevKey, bool) {
	for key, n := range udevNames {
		if string(name) == n {
			return udevKey(key), true
		}
	}
	return 0, false
}
