package collector

import "strings"

// roster remembers things that have a name (devices, CPUs, mounts) from round
// to round: their label, and what the collector wants to keep of them. It
// forgets those that were not met in a round, and so holds no more than one
// round's file has.
type roster[T any] struct {
	make    func(name string) T // makes what is kept of a new member
	members map[string]*member[T]
	round   uint64
	met     int    // members met in this round
	changes uint64 // members that came or went so far
}

// member is one thing on a roster.
type member[T any] struct {
	name  string // valid UTF-8, so that it can be a label
	round uint64 // in which it was last met
	kept  T
}

// begin starts a round.
func (r *roster[T]) begin() { r.round, r.met = r.round+1, 0 }

// meet returns the member called name, which is made if it is new; again says
// that this round has met it before.
func (r *roster[T]) meet(name []byte) (m *member[T], again bool) {
	m = r.members[string(name)]
	if m == nil {
		m = r.add(string(name))
	}
	if m.round == r.round {
		return m, true
	}
	m.round = r.round
	r.met++
	return m, false
}

func (r *roster[T]) add(name string) *member[T] {
	m := &member[T]{name: label(name)}
	if r.make != nil {
		m.kept = r.make(name)
	}
	if r.members == nil {
		r.members = make(map[string]*member[T])
	}
	r.members[name] = m
	r.changes++
	return m
}

// end forgets the members that this round has not met.
func (r *roster[T]) end() {
	if r.met == len(r.members) {
		return
	}
	for name, m := range r.members {
		if m.round != r.round {
			delete(r.members, name)
			r.changes++
		}
	}
}

// label returns text as the value of a label, which must be UTF-8.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
