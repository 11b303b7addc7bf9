package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"
)

// refusal is how a receiver answers 2.0.
type refusal struct {
	name   string
	answer func(w http.ResponseWriter, v2 bool, n int) bool
	twos   int     // requests of 2.0 that are not taken, the first ones
	then2  bool    // the others are of 2.0 too
	lost   float64 // share of the first request that is counted as not written
}

// refuse answers with code where it applies.
func refuse(code int, applies func(v2 bool, n int) bool) func(http.ResponseWriter, bool, int) bool {
	return func(w http.ResponseWriter, v2 bool, n int) bool {
		if applies(v2, n) {
			http.Error(w, "as the test demands", code)
			return true
		}
		return false
	}
}

func is2(v2 bool, _ int) bool { return v2 }

// What receivers answer to 2.0, and what auto makes of it.
func TestAnswersToRemoteWrite2(t *testing.T) {
	t.Parallel()
	const outage = 8 // requests
	for _, c := range []refusal{
		{"415", refuse(http.StatusUnsupportedMediaType, is2), 1, false, 0},
		{"400 without counts to the first", refuse(http.StatusBadRequest, is2), 1, false, 0},
		{"204 without counts", func(w http.ResponseWriter, v2 bool, _ int) bool {
			if v2 {
				w.WriteHeader(http.StatusNoContent)
			}
			return v2
		}, 1, false, 0},
		{"503 many times", refuse(http.StatusServiceUnavailable, func(_ bool, n int) bool { return n < outage }), outage, true, 0},
		{"204 with counts of 0", func(w http.ResponseWriter, v2 bool, n int) bool {
			if n == 0 {
				accept(w, v2, 0)
			}
			return n == 0
		}, 1, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// run delivers six rounds with auto to a receiver that answers so.
func (c refusal) run(t *testing.T) {
	s := &sink{answer: c.answer}
	server := httptest.NewServer(s)
	defer server.Close()
	config := ways(t, t.TempDir(), "", way{"sink", server.URL, "auto", ""})
	agent := start(t, binary, "run", "--config.file="+config)
	eventually(t, 30*time.Second, "six rounds", func() error {
		if n := s.rounds(); n < 6 {
			return fmt.Errorf("%d rounds", n)
		}
		return nil
	})
	agent.stop(t, syscall.SIGTERM, 15*time.Second)
	all := s.received()
	for i, req := range all {
		if refused := i < c.twos; req.taken == refused || req.v2 != (refused || c.then2) {
			t.Errorf("request %d: 2.0 %t, taken %t", i, req.v2, req.taken)
		}
	}
	made, _ := s.value(`{__name__="nodepush_rounds_total", instance="edge-1", job="node", site="e2e", source="node"}`)
	checkArrived(t, all, c.lost == 1, int(made))
	id := `{__name__="nodepush_dropped_samples_total", instance="edge-1", job="node", reason="not_written", receiver="sink", site="e2e"}`
	if n, ok := s.value(id); !ok || n != c.lost*float64(all[0].samples) {
		t.Errorf("%g samples counted as not written (%t), want %g of %d", n, ok, c.lost, all[0].samples)
	}
}

// checkArrived wants every round that was made once among the requests that
// were taken, beginning with what the first request held; that one may be lost.
func checkArrived(t *testing.T, all []request, lost bool, made int) {
	t.Helper()
	var rounds []int64
	samples := -1 // of the first request that was taken
	for _, req := range all {
		if req.taken {
			rounds = append(rounds, req.rounds...)
			if samples < 0 {
				samples = req.samples
			}
		}
	}
	if first := all[0]; !lost && (samples != first.samples || rounds[0] != first.rounds[0]) {
		t.Errorf("%d samples from %d on were refused, %d from %d on came again", first.samples, first.rounds[0], samples, rounds[0])
	} else if lost {
		rounds = slices.Concat(first.rounds, rounds)
	}
	for i := 1; i < len(rounds); i++ {
		if gap := rounds[i] - rounds[i-1]; gap <= 0 {
			t.Errorf("round %d comes %d ms after the one before", i, gap)
		}
	}
	if len(rounds) != made {
		t.Errorf("%d rounds arrived, %d were made", len(rounds), made)
	}
}
