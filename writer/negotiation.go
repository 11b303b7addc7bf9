package writer

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// negotiation knows which protocol a receiver is spoken to. It is used by one
// goroutine.
//
//	          ┌──────────────── after a day, to try ────────────────┐
//	          ▼                                                     │
//	start ─▶ 2.0 ── 415; 2xx without counts; a refusal without ──▶ 1.0
//	          │      counts, unless confirmed; trying: anything else
//	          └── an answer with counts: confirmed
//
// Receivers that do not know the message of 2.0 find it valid and empty
// (VictoriaMetrics), so that a 2xx alone proves nothing.
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/#2-x-vs-1-x-compatibility
type negotiation struct {
	choice  Message
	address string // what a finding is about, in a few letters

	current   *protocol
	confirmed bool      // the receiver is known to understand 2.0
	mute      int       // refusals without counts since then, in a row
	probing   bool      // 1.0 is known to work, and 2.0 is tried again
	since     time.Time // of the finding that it does not
}

// probeAfter is how long a receiver that did not understand 2.0 is spoken to
// in 1.0 before 2.0 is tried again.
const probeAfter = 24 * time.Hour

// muteRefusals without counts in a row are taken for the answers of another
// receiver than the one that counted: an older version that took its place.
const muteRefusals = 5

// newNegotiation begins with what was found before, unless that was about
// another address or says nothing.
func newNegotiation(choice Message, url, found string) *negotiation {
	n := &negotiation{choice: choice, address: digest(url), current: protocol2}
	var version, address string
	var since int64
	fields, _ := fmt.Sscanf(found, "%s %s %d", &version, &address, &since)
	switch {
	case choice == Message1:
		n.current = protocol1
	case fields < 2 || address != n.address:
	case version == protocol2.version:
		n.confirmed = true
	case version == protocol1.version && fields == 3 && choice == MessageAuto:
		n.current, n.since = protocol1, time.Unix(since, 0)
	}
	return n
}

// digest returns a short name of a URL that tells nothing of it.
func digest(url string) string {
	h := fnv.New64a()
	h.Write([]byte(url))
	return fmt.Sprintf("%016x", h.Sum64())
}

// found returns what is to be remembered, for newNegotiation; empty: nothing.
func (n *negotiation) found() string {
	switch {
	case n.choice == Message1:
		return ""
	case n.current == protocol1, n.probing:
		return fmt.Sprintf("%s %s %d", protocol1.version, n.address, n.since.Unix())
	case n.confirmed:
		return strings.Join([]string{protocol2.version, n.address}, " ")
	}
	return ""
}

// probe goes back to 2.0 when it is time to try again and reports whether it
// did. A finding of the future was made with a wrong clock.
func (n *negotiation) probe(now time.Time) bool {
	if n.choice != MessageAuto || n.current != protocol1 {
		return false
	}
	if age := now.Sub(n.since); age >= 0 && age < probeAfter {
		return false
	}
	n.current, n.probing = protocol2, true
	return true
}

// judge refines the verdict on an answer by what the protocol says of it, and
// learns from it. Counts of 0 are counts: Mimir answers so for a replica whose
// samples it does not want.
func (n *negotiation) judge(a answer) verdict {
	if n.current == protocol1 {
		if a.verdict == unsupported {
			return noReceiver // there is no older protocol
		}
		return a.verdict
	}
	if a.counts.stated {
		n.confirmed, n.probing, n.mute = true, false, 0
		return a.verdict
	}
	if a.verdict == rejected {
		n.mute++
	}
	switch {
	case a.verdict == accepted, n.probing: // what it does not do with 2.0 it does with 1.0
		return unsupported
	case a.verdict == rejected && (!n.confirmed || n.mute > muteRefusals):
		return unsupported
	}
	return a.verdict
}

// fallBack changes to 1.0 and reports whether that is allowed.
func (n *negotiation) fallBack(now time.Time) bool {
	if n.choice != MessageAuto || n.current == protocol1 {
		return false
	}
	n.current, n.confirmed, n.probing, n.since = protocol1, false, false, now
	return true
}
