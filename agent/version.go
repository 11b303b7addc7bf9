package agent

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// What the binary is, set by the linker: -ldflags "-X nodepush/agent.version=1.2.3".
// Without it the Go tool's own build information has to do.
var (
	version   string
	revision  string
	branch    string
	buildDate string // RFC 3339
)

// build says which program this is.
type build struct {
	version, revision, branch, date, tags string
	goVersion, goos, goarch               string
}

// readBuild joins what the linker set and what the Go tool recorded.
func readBuild() build {
	b := build{
		version: version, revision: revision, branch: branch, date: buildDate,
		goVersion: runtime.Version(), goos: runtime.GOOS, goarch: runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if ok {
		settings := make(map[string]string)
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		b.tags = settings["-tags"]
		b.revision = cmp.Or(b.revision, settings["vcs.revision"])
		b.date = cmp.Or(b.date, settings["vcs.time"])
		if info.Main.Version != "(devel)" {
			b.version = cmp.Or(b.version, info.Main.Version)
		}
	}
	b.version = cmp.Or(b.version, "0.0.0-dev")
	b.tags = cmp.Or(b.tags, "unknown") // what node_exporter shows without tags
	return b
}

// String is what --version prints.
func (b build) String() string {
	return fmt.Sprintf("nodepush %s (revision %s, built %s, %s %s/%s)", b.version,
		cmp.Or(b.revision, "unknown"), cmp.Or(b.date, "unknown"), b.goVersion, b.goos, b.goarch)
}
