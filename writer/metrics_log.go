package writer

import (
	"sync"

	"nodepush/metric"
)

// The families of the log.
var (
	descLogSize = &metric.Desc{Name: "nodepush_wal_size_bytes", Type: metric.Gauge, Unit: "bytes",
		Help: "Everything in the log's directory."}
	descLogMemory = &metric.Desc{Name: "nodepush_wal_memory_bytes", Type: metric.Gauge, Unit: "bytes",
		Help: "Entries that the disk did not take yet."}
	descLogSegments = &metric.Desc{Name: "nodepush_wal_segments", Type: metric.Gauge,
		Help: "Files of the log, and their like in memory."}
	descLogOnDisk = &metric.Desc{Name: "nodepush_wal_on_disk", Type: metric.Gauge,
		Help: "1 while new entries go to the disk, 0 while it refuses them."}
	descLogSyncs = &metric.Desc{Name: "nodepush_wal_syncs_total", Type: metric.Counter,
		Help: "Times the log waited for the disk to have written."}
	descLogErrors = &metric.Desc{Name: "nodepush_wal_errors_total", Type: metric.Counter, Labels: []string{"operation"},
		Help: "Operations of the log that the disk refused."}
	descLogDamage = &metric.Desc{Name: "nodepush_wal_damaged_frames_total", Type: metric.Counter,
		Help: "Entries of the log that could not be read back."}
	descLogRefused = &metric.Desc{Name: "nodepush_refused_samples_total", Type: metric.Counter, Labels: []string{"reason"},
		Help: "Samples that did not get into the log: of a series that the collection had already, not valid, beyond the number of series, or because of the disk."}
)

var logDescs = []*metric.Desc{
	descLogSize, descLogMemory, descLogSegments, descLogOnDisk, descLogSyncs, descLogErrors, descLogDamage, descLogRefused,
}

// refusals counts samples that were appended and are not in the log.
type refusals struct {
	mu      sync.Mutex
	encoder encoderDrops
	disk    uint64
}

// note takes over what the encoder counted, and the samples of a collection
// that failed as a whole.
func (r *refusals) note(drops encoderDrops, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.encoder = drops
	r.disk += uint64(failed)
}

// collectLog adds the log's samples.
func (w *Writer) collectLog(dst *metric.Buffer) {
	s := w.log.Stats()
	onDisk := 0.0
	if s.OnDisk {
		onDisk = 1
	}
	dst.Add(descLogSize, float64(s.Bytes))
	dst.Add(descLogMemory, float64(s.MemoryBytes))
	dst.Add(descLogSegments, float64(s.Segments))
	dst.Add(descLogOnDisk, onDisk)
	dst.Add(descLogSyncs, float64(s.Syncs))
	dst.Add(descLogErrors, float64(s.AppendErrors), "append")
	dst.Add(descLogErrors, float64(s.SyncErrors), "sync")
	dst.Add(descLogErrors, float64(s.CursorErrors), "cursor")
	dst.Add(descLogDamage, float64(s.Damage.Frames))
	w.refused.collect(dst)
}

func (r *refusals) collect(dst *metric.Buffer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dst.Add(descLogRefused, float64(r.encoder.duplicate), "duplicate")
	dst.Add(descLogRefused, float64(r.encoder.invalid), "invalid")
	dst.Add(descLogRefused, float64(r.encoder.overflow), "overflow")
	dst.Add(descLogRefused, float64(r.disk), "disk")
}
