// Package wal keeps opaque frames on disk until every cursor has passed them.
package wal

import (
	"context"
	"iter"
	"log/slog"
	"time"
)

// Kind says what a frame is to its reader.
type Kind uint8

const (
	Head Kind = 1 + iota // what later frames of the segment cannot be read without; always written twice
	Key                  // what Data frames refer to; a collection of its own
	Data                 // one collection, readable with the segment's heads and one key
)

// Frame is one entry of the log. Payload is valid until the next call of the reader.
type Frame struct {
	Seq     uint64
	Kind    Kind
	Payload []byte
	Segment uint64 // first sequence number of the segment that holds it
}

type Options struct {
	MaxSize      int64
	MaxAge       time.Duration
	SyncInterval time.Duration
	MemoryLimit  int64
	Logger       *slog.Logger
	OnEvict      func(cursor string, frames iter.Seq[Frame])
}

type Log struct{}

func Open(dir string, o Options) (*Log, error)                          { panic("skeleton") }
func (l *Log) Append(kind Kind, payload []byte) (seq uint64, err error) { panic("skeleton") }
func (l *Log) Roll(heads [][]byte) error                                { panic("skeleton") }
func (l *Log) Size() int64                                              { panic("skeleton") }
func (l *Log) End() uint64                                              { panic("skeleton") }
func (l *Log) Changed() <-chan struct{}                                 { panic("skeleton") }
func (l *Log) Sync() error                                              { panic("skeleton") }
func (l *Log) Run(ctx context.Context) error                            { panic("skeleton") }
func (l *Log) Close() error                                             { panic("skeleton") }
func (l *Log) Reader(from uint64) *Reader                               { panic("skeleton") }
func (l *Log) Cursor(name string) (*Cursor, error)                      { panic("skeleton") }

type Reader struct{}

func (r *Reader) Next() (Frame, bool) { panic("skeleton") }
func (r *Reader) Lost() Damage        { panic("skeleton") }

type Damage struct {
	Frames uint64
	Bytes  int64
}

type Range struct{ From, To uint64 }

type State struct {
	Acked    []Range
	InFlight Range
	Protocol string
	BootID   [16]byte
	Clean    bool
}

type Cursor struct{}

func (c *Cursor) State() State       { panic("skeleton") }
func (c *Cursor) Save(s State) error { panic("skeleton") }
