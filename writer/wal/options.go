package wal

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"
)

// Reason says why a segment went although a cursor had not passed it.
type Reason string

// The reasons of an eviction.
const (
	EvictSize   Reason = "max_size" // the directory had reached Options.MaxSize
	EvictAge    Reason = "max_age"  // its newest frame was older than Options.MaxAge
	EvictMemory Reason = "memory"   // the disk refused until Options.MemoryLimit was reached, or until Close
)

// Options bounds a log. The zero value keeps 256 MiB and syncs every frame.
type Options struct {
	MaxSize      int64         // bytes of everything in the directory; 0: 256 MiB
	MaxAge       time.Duration // 0: none
	SyncInterval time.Duration // a frame unacknowledged for this long is synced; 0: each frame in Append
	MemoryLimit  int64         // bytes of all memory segments; 0: 16 MiB or MaxSize, whichever is less
	Logger       *slog.Logger  // nil: slog.Default

	// OnEvict is called once for each opened cursor that had not passed a
	// segment, after readers got the last of it and before it is deleted. frames yields what the cursor
	// had not acknowledged, and in between (marked Acked) the heads and keys
	// that it had; it is valid during the call only. The callback may use
	// readers, cursors and Stats but must not call Append, Roll or Close, and
	// runs in the goroutine of whoever called Append, Roll, Run or Close.
	OnEvict func(cursor string, reason Reason, frames iter.Seq[Frame])
}

const (
	minSize     = 64 << 10
	defaultSize = 256 << 20
	memoryLimit = 16 << 20
)

// withDefaults fills in what is zero and reports everything that makes no sense.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.MaxSize == 0 {
		o.MaxSize = defaultSize
	}
	if o.MaxSize < minSize {
		errs = append(errs, fmt.Errorf("max size %d: want at least %d bytes", o.MaxSize, minSize))
	}
	if o.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("max age %s: want 0 (none) or more", o.MaxAge))
	}
	if o.SyncInterval < 0 {
		errs = append(errs, fmt.Errorf("sync interval %s: want 0 (every frame) or more", o.SyncInterval))
	}
	if o.MemoryLimit < 0 {
		errs = append(errs, fmt.Errorf("memory limit %d: want 0 (default) or more bytes", o.MemoryLimit))
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = min(memoryLimit, o.MaxSize)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, errors.Join(errs...)
}
