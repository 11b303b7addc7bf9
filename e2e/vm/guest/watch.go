//go:build vm

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The log's format is in docs/wal.md.
const (
	segmentHeader = 32
	frameHeader   = 17
	kindOffset    = 8
	seqOffset     = 9
	kindHead      = 1
)

// wal is the agent's wal.dir.
const wal = "/var/lib/nodepush/wal"

// watch tells the host of each collection as soon as a file of the log has its
// frame: the agent has acknowledged it then. It reads through the page cache,
// so it sees what the disk does not have yet. The old files belong to earlier
// lives: an agent always begins a new one.
func watch(old []string, l *line) {
	read := make(map[string]int64)
	for _, name := range old {
		read[name] = 1 << 62
	}
	for ; ; time.Sleep(20 * time.Millisecond) {
		for _, name := range segments(wal) {
			at, known := read[name]
			if !known {
				at = segmentHeader
			}
			read[name] = frames(name, at, l)
		}
	}
}

func segments(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	return names
}

// frames reports the whole frames from offset at on, and returns where they end.
func frames(name string, at int64, l *line) int64 {
	info, err := os.Stat(name)
	if err != nil || info.Size() <= at {
		return at
	}
	text, err := os.ReadFile(name)
	if err != nil || int64(len(text)) <= at {
		return at
	}
	rest := text[at:]
	for len(rest) >= frameHeader {
		length := frameHeader + int(binary.LittleEndian.Uint32(rest))
		if length > len(rest) {
			break
		}
		if rest[kindOffset] != kindHead {
			l.say(message{Event: "frame", Seq: binary.LittleEndian.Uint64(rest[seqOffset:]), Output: strings.TrimSuffix(filepath.Base(name), ".wal")})
		}
		at, rest = at+int64(length), rest[length:]
	}
	return at
}
