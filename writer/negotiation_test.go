package writer

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/prompb"

	"nodepush/writer/wal"
)

const (
	v1 = "0.1.0"
	v2 = "2.0.0"
)

func TestNegotiationJudges(t *testing.T) {
	counted := counts{stated: true}
	tests := []struct {
		name      string
		choice    Message
		confirmed bool
		code      int
		counts    counts
		want      verdict
	}{
		{"success with counts", MessageAuto, false, 204, counts{true, 5}, accepted},
		{"success with counts of zero", MessageAuto, false, 202, counted, accepted},
		{"success without counts", MessageAuto, false, 204, counts{}, unsupported},
		{"success without counts, confirmed before", MessageAuto, true, 200, counts{}, unsupported},
		{"415", MessageAuto, true, 415, counts{}, unsupported},
		{"400 without counts", MessageAuto, false, 400, counts{}, unsupported},
		{"400 without counts, confirmed before", MessageAuto, true, 400, counts{}, rejected},
		{"400 with counts", MessageAuto, false, 400, counted, rejected},
		{"409 without counts", MessageAuto, false, 409, counts{}, unsupported},
		{"409 without counts, confirmed before", MessageAuto, true, 409, counts{}, rejected},
		{"500", MessageAuto, false, 500, counts{}, tryAgain},
		{"429", MessageAuto, false, 429, counts{}, tryAgain},
		{"404", MessageAuto, false, 404, counts{}, noReceiver},
		{"1.0: success without counts", Message1, false, 204, counts{}, accepted},
		{"1.0: success with counts of zero", Message1, false, 204, counted, accepted},
		{"1.0: 400", Message1, false, 400, counts{}, rejected},
		{"1.0: 415", Message1, false, 415, counts{}, noReceiver},
		{"2.0: success without counts", Message2, false, 204, counts{}, unsupported},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			n := newNegotiation(c.choice, "http://a/", "")
			n.confirmed = c.confirmed
			if got := n.judge(answer{verdict: judge(c.code), code: c.code, counts: c.counts}); got != c.want {
				t.Errorf("judge = %d, want %d", got, c.want)
			}
			if want := c.confirmed || c.counts.stated && c.choice != Message1; n.confirmed != want {
				t.Errorf("confirmed = %v, want %v", n.confirmed, want)
			}
		})
	}
}

func TestNegotiationRemembers(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	const url = "http://user:secret@a.example/push?token=x"
	n := newNegotiation(MessageAuto, url, "")
	if n.current != protocol2 || n.found() != "" || !n.fallBack(now) || n.fallBack(now) {
		t.Fatalf("a new negotiation is %+v, found %q", n, n.found())
	}
	found1 := n.found()
	n = newNegotiation(MessageAuto, url, "")
	n.judge(answer{verdict: accepted, code: 204, counts: counts{stated: true}})
	found2 := n.found()
	if len(found1) > 64 || strings.Contains(found1+found2, "secret") {
		t.Errorf("found %q and %q", found1, found2)
	}
	tests := []struct {
		name, url, found string
		choice           Message
		after            time.Duration
		want             *protocol
		confirmed        bool
	}{
		{"1.0 found", url, found1, MessageAuto, time.Hour, protocol1, false},
		{"1.0 found a day ago", url, found1, MessageAuto, 24 * time.Hour, protocol2, false},
		{"1.0 found in the future", url, found1, MessageAuto, -time.Hour, protocol2, false},
		{"2.0 found", url, found2, MessageAuto, 1000 * time.Hour, protocol2, true},
		{"another address", "http://b/", found1, MessageAuto, 0, protocol2, false},
		{"another address that was confirmed", "http://b/", found2, MessageAuto, 0, protocol2, false},
		{"1.0 found, 2.0 demanded", url, found1, Message2, 0, protocol2, false},
		{"2.0 found, 1.0 demanded", url, found2, Message1, 0, protocol1, false},
		{"nothing that makes sense", url, "7 x", MessageAuto, 0, protocol2, false},
		{"a version of later", url, "3.0.0 " + digest(url), MessageAuto, 0, protocol2, false},
		{"1.0 without a time", url, strings.Join(strings.Fields(found1)[:2], " "), MessageAuto, 0, protocol2, false},
	}
	for _, c := range tests {
		n := newNegotiation(c.choice, c.url, c.found)
		n.probe(now.Add(c.after))
		if n.current != c.want || n.confirmed != c.confirmed {
			t.Errorf("%s: %s, confirmed %v; want %s, %v", c.name, n.current.version, n.confirmed, c.want.version, c.confirmed)
		}
	}
}

func auto(r Receiver) Receiver {
	r.Message = MessageAuto
	return r
}

// A receiver that does not understand 2.0 gets the same samples as 1.0, all of
// them, and is asked once.
func TestSenderFallsBack(t *testing.T) {
	tests := []struct {
		name   string
		refuse int // 0: takes the message for an empty one
	}{{"204 without counts", 0}, {"415", 415}, {"400", 400}}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			dir, s := t.TempDir(), newSink(t, nil)
			s.refuse2 = c.refuse
			p := openPipe(t, dir, testClock(), auto(testReceiver("r", s.URL))).start()
			for range 3 {
				p.collect(5)
			}
			eventually(t, "everything arrives", func() bool { return s.samples() == 15 })
			p.stop()
			versions := s.versions()
			if versions[0] != v2 || slices.Contains(versions[1:], v2) {
				t.Errorf("versions %q, want 2.0 once, at first", versions)
			}
			if n := strings.Count(p.log.String(), "does not understand remote write 2.0"); n != 1 {
				t.Errorf("%d lines about it, want 1:\n%s", n, p.log)
			}
			if sent, lost := p.value("nodepush_sent_samples_total", "r"), p.dropped("r", "rejected"); sent != 15 || lost != 0 {
				t.Errorf("sent %v, rejected %d; want 15, 0", sent, lost)
			}

			p = openPipe(t, dir, testClock(), auto(testReceiver("r", s.URL))).start()
			p.collect(5)
			eventually(t, "it arrives", func() bool { return s.samples() == 20 })
			if versions := s.versions(); slices.Contains(versions[1:], v2) {
				t.Errorf("versions %q, want 2.0 never again", versions)
			}
		})
	}
}

// Failures say nothing of the protocol.
func TestSenderStaysWith2(t *testing.T) {
	s := newSink(t, func(n int, _ *prompb.WriteRequest) int {
		return []int{500, 503, 429, 0, 408, 502, 204}[min(n, 6)]
	})
	s.knows2 = true
	p := openPipe(t, t.TempDir(), testClock(), auto(testReceiver("r", s.URL))).start()
	p.collect(5)
	eventually(t, "it arrives", func() bool { return p.value("nodepush_sent_samples_total", "r") == 5 })
	if versions := s.versions(); slices.Contains(versions, v1) || len(versions) != 7 {
		t.Errorf("versions %q, want seven times 2.0", versions)
	}
}

// A receiver that is found to understand only 1.0 is asked again after a day.
func TestSenderProbesDaily(t *testing.T) {
	dir := t.TempDir()
	inBubbleAs(t, dir, Receiver{Message: MessageAuto}, nil, func(p *pipe, s *sink) {
		for range 50 {
			p.appendNow(5, time.Hour)
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		n := 0
		for _, v := range s.versions() {
			if v == v2 {
				n++
			}
		}
		if n != 3 || s.samples() != 250 {
			t.Errorf("%d messages of 2.0 in 50 hours, %d samples, want 3 and 250", n, s.samples())
		}
		s.mu.Lock()
		s.knows2 = true
		s.mu.Unlock()
		for range 30 {
			p.appendNow(5, time.Hour)
			time.Sleep(time.Hour)
		}
		if v := s.versions(); v[len(v)-1] != v2 || s.samples() != 400 {
			t.Errorf("after it learnt 2.0: %s, %d samples", v[len(v)-1], s.samples())
		}
	})
}

// Whatever a receiver of 1.0 answers when it is asked again: 1.0 goes on.
func TestProbeLosesNothing(t *testing.T) {
	for _, code := range []int{400, 403, 404, 405, 409, 413, 415, 422, 429, 431, 500, 501, 503} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			inBubbleAs(t, t.TempDir(), Receiver{Message: MessageAuto}, nil, func(p *pipe, s *sink) {
				p.appendNow(5, time.Hour)
				s.arrivals(time.Second)
				s.mu.Lock()
				s.refuse2 = code
				s.mu.Unlock()
				for range 30 {
					p.appendNow(5, time.Hour)
					time.Sleep(time.Hour)
				}
				if got := s.samples(); got != 5*31 {
					t.Errorf("%d samples arrived, want %d", got, 5*31)
				}
				if found := p.senders[0].cursor.State().Protocol; !strings.HasPrefix(found, v1) {
					t.Errorf("found %q, want 1.0", found)
				}
			})
		})
	}
}

// A kill while 2.0 is tried again does not make the finding forgotten.
func TestProbeKeepsTheFinding(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	n := newNegotiation(MessageAuto, "http://a/", "")
	n.fallBack(now)
	before := n.found()
	if !n.probe(now.Add(probeAfter)) || n.found() != before || n.current != protocol2 {
		t.Errorf("while probing %q is found, want %q", n.found(), before)
	}
	n.judge(answer{verdict: accepted, code: 200, counts: counts{stated: true}})
	if !strings.HasPrefix(n.found(), v2) {
		t.Errorf("after counts %q is found, want 2.0", n.found())
	}
}

// An older receiver takes the place of one that counted.
func TestReceiverIsRolledBack(t *testing.T) {
	for _, code := range []int{400, 409, 415, 422} {
		inBubbleAs(t, t.TempDir(), Receiver{Message: MessageAuto}, nil, func(p *pipe, s *sink) {
			s.knows2 = true
			p.appendNow(5, time.Hour)
			s.arrivals(time.Second)
			s.mu.Lock()
			s.knows2, s.refuse2 = false, code
			s.mu.Unlock()
			for range 30 {
				p.appendNow(5, time.Hour)
				time.Sleep(time.Minute)
			}
			if got, lost := s.samples(), p.dropped("r", "rejected"); got+lost != 5*31 || lost > 5*muteRefusals {
				t.Errorf("%d: %d samples arrived, %d rejected", code, got, lost)
			}
		})
	}
}

// Where 2.0 is demanded, a receiver that does not understand it is held.
func TestSenderDemands2(t *testing.T) {
	s := newSink(t, nil)
	r := testReceiver("r", s.URL)
	r.Message = Message2
	p := openPipe(t, t.TempDir(), testClock(), r).start()
	p.collect(5)
	eventually(t, "it is held", func() bool { return p.value("nodepush_receiver_held", "r") == 1 })
	if s.samples() != 0 || p.value("nodepush_sent_samples_total", "r") != 0 || !strings.Contains(p.log.String(), "protobuf_message") {
		t.Errorf("%d samples stored, %v counted; log:\n%s", s.samples(), p.value("nodepush_sent_samples_total", "r"), p.log)
	}
}

// What the receiver counts as written is what counts.
func TestSenderCountsWritten(t *testing.T) {
	tests := []struct {
		name                             string
		collections, status, missing     int
		sent, rejected, notWritten, dups float64
		unclean                          bool // the answer before was lost
	}{
		{"all", 3, 204, 0, 15, 0, 0, 0, false},
		{"a success with less", 3, 200, 4, 11, 0, 4, 0, false},
		{"a success with nothing", 3, 202, 100, 0, 0, 15, 0, false},
		{"a partial refusal", 3, 400, 4, 11, 4, 0, 0, false},
		{"a partial refusal of one collection", 1, 400, 4, 1, 4, 0, 0, false},
		{"a partial refusal of what may be there", 3, 400, 4, 11, 0, 0, 4, true},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			s := newSink(t, func(n int, _ *prompb.WriteRequest) int {
				if n == 0 && c.unclean {
					return 0
				}
				return c.status
			})
			s.knows2, s.written = true, c.missing
			p := openPipe(t, t.TempDir(), testClock(), auto(testReceiver("r", s.URL)))
			for range c.collections {
				p.collect(5)
			}
			p.start()
			eventually(t, "all is delivered", func() bool { return p.Backlog()[0].Frames == 0 })
			if n := s.count(); n > 2 {
				t.Errorf("%d requests, want one: there is nothing to search", n)
			}
			for name, want := range map[string]float64{"rejected": c.rejected, "not_written": c.notWritten} {
				if got := p.dropped("r", name); float64(got) != want {
					t.Errorf("%s = %d, want %v", name, got, want)
				}
			}
			if sent, dups := p.value("nodepush_sent_samples_total", "r"), p.value("nodepush_maybe_duplicate_samples_total", "r"); sent != c.sent || dups != c.dups {
				t.Errorf("sent %v, maybe duplicates %v, want %v, %v", sent, dups, c.sent, c.dups)
			}
			if newest := p.value("nodepush_last_sent_timestamp_seconds", "r"); (newest > 0) != (c.sent > 0) {
				t.Errorf("newest sample sent at %v, though %v were", newest, c.sent)
			}
		})
	}
}

// Markers are counted by the receiver and by nobody else.
func TestSenderLost(t *testing.T) {
	for _, c := range []struct {
		protocol *protocol
		verdict  verdict
		written  uint64
		want     int
	}{
		{protocol2, accepted, 8, 0}, {protocol2, accepted, 7, 1}, {protocol2, rejected, 3, 5}, {protocol2, rejected, 0, 5}, {protocol2, accepted, 1 << 62, 0},
		{protocol2, tooLarge, 8, 5}, {protocol2, noReceiver, 0, 5}, {protocol1, accepted, 0, 0}, {protocol1, rejected, 8, 5},
	} {
		s := &sender{protocol: &negotiation{current: c.protocol}, tally: tally{samples: 5, markers: 3}}
		if got := s.lost(answer{verdict: c.verdict, counts: counts{true, c.written}}); got != c.want {
			t.Errorf("%s: lost after verdict %d with %d written = %d, want %d", c.protocol.version, c.verdict, c.written, got, c.want)
		}
	}
}

func TestReadCounts(t *testing.T) {
	const prefix = "X-Prometheus-Remote-Write-"
	for _, c := range []struct {
		samples, histograms, exemplars string
		want                           counts
	}{
		{"", "", "", counts{}}, {"5", "", "", counts{true, 5}}, {"5", "2", "9", counts{true, 7}}, {"0", "", "", counts{true, 0}},
		{"", "", "4", counts{true, 0}}, {"-1", "x", "", counts{}}, {"99999999999999999999", "", "", counts{}}, {"5, 5", "0", "", counts{}},
	} {
		h := http.Header{}
		for name, v := range map[string]string{"Samples": c.samples, "Histograms": c.histograms, "Exemplars": c.exemplars} {
			if v != "" {
				h.Set(prefix+name+"-Written", v)
			}
		}
		if got := readCounts(h); got != c.want {
			t.Errorf("readCounts(%v) = %+v, want %+v", h, got, c.want)
		}
	}
}

// A success that says nothing may have been one: what 1.0 refuses then is
// taken for a duplicate.
func TestSenderFallsBackFromASilentReceiver(t *testing.T) {
	s := newSink(t, func(n int, _ *prompb.WriteRequest) int { return []int{204, 400}[min(n, 1)] })
	s.knows2, s.silent = true, true
	p := openPipe(t, t.TempDir(), testClock(), auto(testReceiver("r", s.URL)))
	p.collect(1)
	p.start()
	eventually(t, "all is delivered", func() bool { return p.Backlog()[0].Frames == 0 })
	if dups, lost := p.value("nodepush_maybe_duplicate_samples_total", "r"), p.dropped("r", "rejected"); dups != 1 || lost != 0 {
		t.Errorf("maybe duplicates %v, rejected %d, want 1 and 0", dups, lost)
	}
}

// The finding survives kill -9, and a position of another version is understood.
func TestFindingIsSaved(t *testing.T) {
	dir, s := t.TempDir(), newSink(t, nil)
	p := openPipe(t, dir, testClock(), auto(testReceiver("r", s.URL))).start()
	p.collect(5)
	eventually(t, "it arrives", func() bool { return s.samples() == 5 })
	p.kill()
	setCursor(t, dir, "r", func(s *wal.State) {
		if !strings.HasPrefix(s.Protocol, v1+" ") {
			t.Errorf("protocol = %q, want 1.0", s.Protocol)
		}
		s.Protocol = "io.prometheus.write.v3.Request"
	})
	p = openPipe(t, dir, testClock(), auto(testReceiver("r", s.URL))).start()
	p.collect(5)
	eventually(t, "it arrives", func() bool { return s.samples() == 10 })
}

// A receiver that is slow with metadata, or never answers to it, gets its samples.
func TestMetadataWaits(t *testing.T) {
	for _, slow := range []time.Duration{300 * time.Millisecond, 30 * time.Second} {
		r := Receiver{Message: Message1, Timeout: time.Minute, Metadata: Metadata{Send: true, Interval: time.Minute, MaxSamples: 1}}
		inBubbleAs(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
			s.judge = func(_ int, w *prompb.WriteRequest) int {
				if len(w.Metadata) > 0 {
					time.Sleep(slow)
				}
				return 204
			}
			for range 20 {
				p.appendNow(50, time.Hour)
				time.Sleep(5 * time.Second)
				if got := p.Backlog()[0].Frames; got != 0 {
					t.Errorf("answers after %v: %d frames wait 5 s after they were made", slow, got)
				}
			}
			time.Sleep(time.Minute) // the receiver's handlers end
		})
	}
}

// Help texts go to a receiver of 1.0 as messages of their own, in their time.
func TestSenderSendsMetadata(t *testing.T) {
	r := Receiver{Message: Message1, Metadata: Metadata{Send: true, Interval: time.Minute, MaxSamples: 10}}
	inBubbleAs(t, t.TempDir(), r, nil, func(p *pipe, s *sink) {
		for range 7 { // 105 s
			p.appendNow(25, time.Hour)
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		var sizes []int
		families := map[string]int{}
		for _, w := range s.requests {
			if len(w.Metadata) > 0 {
				sizes = append(sizes, len(w.Metadata))
			}
			if len(w.Metadata) > 0 && len(w.Timeseries) > 0 {
				t.Error("metadata and samples in one request")
			}
			for _, m := range w.Metadata {
				families[m.MetricFamilyName]++
				if m.Type != prompb.MetricMetadata_GAUGE {
					t.Errorf("type of %s is %s", m.MetricFamilyName, m.Type)
				}
			}
		}
		if want := []int{10, 10, 5, 10, 10, 5}; !slices.Equal(sizes, want) || len(families) != 25 {
			t.Errorf("metadata requests of %d, %d families; want %d, 25", sizes, len(families), want)
		}
	})
}
