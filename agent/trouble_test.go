package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Errors of the log are counted, told, and stop nothing.
func TestAppendErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		open := r.open
		r.open = func(c writerConfig, l logger) (pipe, error) {
			p, err := open(c, l)
			r.pipe.fail = func() error { return errors.New("no space left on device") }
			return p, err
		}
		r.live(t, 20*time.Minute)
		rounds := r.pipe.of("node")
		if n, _ := rounds[len(rounds)-1].has("nodepush_append_failures_total{node}"); int(n) != len(rounds)-1 {
			t.Errorf("%v failures counted in %d rounds", n, len(rounds))
		}
		if n := r.journal.lines("no space left"); n < 3 || n > 5 {
			t.Errorf("%d lines in 20 minutes:\n%s", n, r.journal)
		}
	})
}

// The journal of a collector that fails for an hour, in several ways, and
// flaps, stays short and keeps what is new.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newRig(t)
		r := trouble{what: "collector", log: j.log}
		for i := range 360 {
			switch {
			case i%50 == 7:
				r.worked()
			case i == 100:
				r.failed(time.Now(), errors.New("something new"))
			default:
				r.failed(time.Now(), fmt.Errorf("error %d", i)) // always another text
			}
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(j.journal.String(), "\n"); n > 8+12+8 {
			t.Errorf("%d lines in an hour:\n%s", n, j.journal)
		}
		r.worked()
		r.worked()
		last := j.journal.String()[strings.LastIndex(strings.TrimSuffix(j.journal.String(), "\n"), "\n")+1:]
		if !strings.Contains(last, "works again") || j.journal.lines("works again") > 8 {
			t.Errorf("log:\n%s", j.journal)
		}
	})
}
