package view

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"nodepush/receiver"
)

// Summary tells what became of everything that was collected, when the agent
// has ended. It is for a view that was closed.
func (v *View) Summary(collected uint64) error {
	sink := v.options.Receiver
	s := sink.Stats()
	n := samplesIn(s)
	text := fmt.Sprintf("\n%d rounds: %d samples collected, %d stored by the receiver in %d requests, %d requests refused; "+
		"%s B/sample on the wire, %s in the log with its dictionary\n",
		roundsIn(sink), collected, n, s.Requests-s.Refused, s.Refused,
		ratio(float64(s.WireBytes), float64(n), 2), ratio(float64(dirSize(v.options.Dir)), float64(n), 2))
	if s.LastRefusal != "" {
		text += "last refusal: " + clean(s.LastRefusal) + "\n"
	}
	_, err := io.WriteString(v.out, text)
	return err
}

// samplesIn is how many samples the receiver took, staleness markers aside:
// they are no samples of the agent's.
func samplesIn(s receiver.Stats) uint64 { return s.Samples + s.Histograms }

// roundsIn is the number of collections that arrived: each has one sample of up.
func roundsIn(sink *receiver.Receiver) (n uint64) {
	for _, s := range sink.Select("up") {
		n += s.Count
	}
	return n
}

// ratio writes a by b, "-" where b is 0.
func ratio(a, b float64, digits int) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, a/b)
}

// dirSize is the size of the files below dir. One that vanishes meanwhile counts nothing.
func dirSize(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}
