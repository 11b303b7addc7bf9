// Package writer is a durable, ordered, at-least-once pipe from collections to
// each receiver.
package writer

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"

	"nodepush/metric"
)

// Receiver configures one remote-write receiver (configuration block remote_write).
type Receiver struct {
	Name                string // the cursor's identity; never empty here
	URL                 string
	Headers             map[string]string
	HTTP                config.HTTPClientConfig
	Timeout             time.Duration // remote_timeout, 30s
	MaxSamplesPerSend   int           // 0: 10,000 live and 20,000 in catch-up; otherwise the limit of both
	BatchSendDeadline   time.Duration // 5s
	MinBackoff          time.Duration // 500ms
	MaxBackoff          time.Duration // 30s
	SampleAgeLimit      time.Duration // 0: none
	WriteRelabel        []*relabel.Config
	DropOnEndpointError bool // on_endpoint_error: drop
}

// Config configures the pipe.
type Config struct {
	Dir          string        // wal.dir
	MaxSize      int64         // wal.max_size, bytes
	MaxAge       time.Duration // wal.max_age; 0: none
	SyncInterval time.Duration // wal.sync_interval; 0: every round
	Receivers    []Receiver
	Version      string // for the User-Agent
}

// Task is something long-lived that package agent starts and joins.
type Task struct {
	Name string
	Run  func(ctx context.Context) error
}

type Writer struct{}

func Open(c Config, log *slog.Logger) (*Writer, error)              { panic("skeleton") }
func (w *Writer) Append(c *metric.Collection, next time.Time) error { panic("skeleton") }
func (w *Writer) Tasks() []Task                                     { panic("skeleton") }
func (w *Writer) Drain()                                            { panic("skeleton") }
func (w *Writer) Close() error                                      { panic("skeleton") }
func (w *Writer) Descs() []*metric.Desc                             { panic("skeleton") }
func (w *Writer) Collect(now time.Time, dst *metric.Buffer)         { panic("skeleton") }
