package agent

import (
	"strconv"
	"strings"
	"time"

	"nodepush/writer"
)

func writerOf(d *draft) *writer.Config { return &d.Writer }

func defaultWriter() writer.Config {
	return writer.Config{Dir: "./data/wal", MaxSize: 256 << 20, SyncInterval: 5 * time.Second}
}

// walKeys are the keys of the block wal.
func walKeys() []key[writer.Config] {
	type config = writer.Config
	return []key[config]{
		{"dir", "./data/wal", "where the log lives; a relative path begins at the working directory, as Prometheus' storage path does", reader[config]{typ: "path, expanded", read: readDir}},
		{"max_size", "256MiB", "hard bound on everything in dir; past it the oldest segments go first, counted", reader[config]{typ: "size, 8MiB to 16TiB", read: readMaxSize}},
		{"max_age", "0s", "how old the backlog may get; 0s: only max_size bounds it", asDurationOrZero(func(c *config) *time.Duration { return &c.MaxAge }, time.Minute, 10*365*24*time.Hour)},
		{"sync_interval", "5s", "what is unacknowledged for so long is made to survive a power cut; 0s: every round", asDuration(func(c *config) *time.Duration { return &c.SyncInterval }, 0, time.Hour)},
	}
}

func readDir(v value, c *writer.Config) {
	s, ok := v.expanded()
	if ok && s == "" {
		v.fail("is empty: a directory is needed, such as /var/lib/nodepush/wal")
	} else if ok {
		c.Dir = s
	}
}

// The log is cut into segments of at least 512 KiB and at most a sixteenth of
// the whole (docs/wal.md), so that less than 8 MiB cannot work.
const (
	minWALSize = 8 << 20
	maxWALSize = 16 << 40
)

func readMaxSize(v value, c *writer.Config) {
	s, ok := v.scalar("a size such as 256MiB")
	if !ok {
		return
	}
	n, ok := parseSize(s)
	switch {
	case !ok:
		v.fail("%s is not a size: write a whole number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 256MiB", quoted(s))
	case n < minWALSize, n > maxWALSize:
		v.fail("%s is out of range: allowed is 8MiB to 16TiB", quoted(s))
	default:
		c.MaxSize = n
	}
}

// parseSize reads a number of bytes. As in Prometheus' size limits, KB and KiB
// are the same 1024 bytes, and so on.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "BKMGTi")
	n, err := strconv.ParseUint(digits, 10, 53)
	if err != nil {
		return 0, false
	}
	shift := map[string]int{"": 0, "B": 0, "KB": 10, "KiB": 10, "MB": 20, "MiB": 20, "GB": 30, "GiB": 30, "TB": 40, "TiB": 40}
	by, ok := shift[s[len(digits):]]
	if !ok {
		return 0, false
	}
	if n > maxWALSize>>by { // more than is allowed, and no overflow
		return maxWALSize + 1, true
	}
	return int64(n << by), true
}
