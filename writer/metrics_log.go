package writer

import (
	"errors"
	"sync"

	"nodepush/metric"
	"nodepush/writer/wal"
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
	descLogSyncTime = &metric.Desc{Name: "nodepush_wal_sync_seconds_total", Type: metric.Counter, Unit: "seconds",
		Help: "Time the log waited for the disk to have written."}
	descLogErrors = &metric.Desc{Name: "nodepush_wal_errors_total", Type: metric.Counter, Labels: []string{"operation"},
		Help: "Operations of the log that the disk refused."}
	descLogDamage = &metric.Desc{Name: "nodepush_wal_damaged_frames_total", Type: metric.Counter,
		Help: "Entries of the log that could not be read back."}
	descLogSetAside = &metric.Desc{Name: "nodepush_wal_set_aside_segments", Type: metric.Gauge,
		Help: "Files named like those of the log that this version cannot read; they are left alone."}
	descLogUnclean = &metric.Desc{Name: "nodepush_wal_previous_stop_unclean", Type: metric.Gauge,
		Help: "1 if the process before did not close the log: it was killed, or the power failed."}
	descLogRefused = &metric.Desc{Name: "nodepush_refused_samples_total", Type: metric.Counter, Labels: []string{"reason"},
		Help: "Samples that did not get into the log: of a series that the collection had already, not valid, beyond the number of series, in a collection too large for the log, after its end, or because of the disk."}
)

var logDescs = []*metric.Desc{
	descLogSize, descLogMemory, descLogSegments, descLogOnDisk, descLogSyncs, descLogSyncTime, descLogErrors, descLogDamage,
	descLogSetAside, descLogUnclean, descLogRefused,
}

// refusals counts samples that were appended and are not in the log.
type refusals struct {
	mu      sync.Mutex
	encoder encoderDrops

	// Of collections that failed as a whole.
	disk     uint64
	tooLarge uint64
	closed   uint64
}

// note takes over what the encoder counted up to a collection and with it. The
// rest of the samples of one that failed has the error as its reason.
func (r *refusals) note(before, drops encoderDrops, samples int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.encoder = drops
	failed := uint64(samples) - (drops.sum() - before.sum())
	switch {
	case err == nil:
	case errors.Is(err, errTooLarge), errors.Is(err, wal.ErrTooLarge):
		r.tooLarge += failed
	case errors.Is(err, wal.ErrClosed):
		r.closed += failed
	default:
		r.disk += failed
	}
}

// collectLog adds the log's samples.
func (w *Writer) collectLog(dst *metric.Buffer) {
	s := w.log.Stats()
	dst.Add(descLogSize, float64(s.Bytes))
	dst.Add(descLogMemory, float64(s.MemoryBytes))
	dst.Add(descLogSegments, float64(s.Segments))
	dst.Add(descLogOnDisk, oneIf(s.OnDisk))
	dst.Add(descLogSyncs, float64(s.Syncs))
	dst.Add(descLogSyncTime, s.SyncTotal.Seconds())
	dst.Add(descLogErrors, float64(s.AppendErrors), "append")
	dst.Add(descLogErrors, float64(s.SyncErrors), "sync")
	dst.Add(descLogErrors, float64(s.CursorErrors), "cursor")
	dst.Add(descLogDamage, float64(s.Damage.Frames))
	dst.Add(descLogSetAside, float64(s.SetAside))
	dst.Add(descLogUnclean, oneIf(s.Unclean))
	w.refused.collect(dst)
}

func (r *refusals) collect(dst *metric.Buffer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dst.Add(descLogRefused, float64(r.encoder.duplicate), "duplicate")
	dst.Add(descLogRefused, float64(r.encoder.invalid), "invalid")
	dst.Add(descLogRefused, float64(r.encoder.overflow), "overflow")
	dst.Add(descLogRefused, float64(r.disk), "disk")
	dst.Add(descLogRefused, float64(r.tooLarge), "too_large")
	dst.Add(descLogRefused, float64(r.closed), "closed")
}

// oneIf is the value of a gauge that tells whether something is so.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
