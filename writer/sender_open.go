package writer

import (
	"fmt"
	"log/slog"
	"time"

	"nodepush/writer/wal"
)

// newSender checks a receiver's configuration and makes its sender, which
// then needs to be attached to a log.
func newSender(r Receiver, version string, log *slog.Logger, clock clock) (*sender, error) {
	client, err := newClient(r, version)
	if err != nil {
		return nil, err
	}
	return &sender{
		Receiver: r,
		client:   client,
		backoff:  newBackoff(r.MinBackoff, r.MaxBackoff),
		clock:    clock,
		stats:    &stats{receiver: r.Name, started: clock.now()},
		report:   &reporter{log: log.With("receiver", r.Name), now: time.Now},
	}, nil
}

// attach opens the receiver's position in the log.
func (s *sender) attach(log *wal.Log) error {
	cursor, err := log.Cursor(s.Name)
	if err != nil {
		return fmt.Errorf("receiver %s: %w", s.Name, err)
	}
	s.log, s.cursor = log, cursor
	state := cursor.State()
	s.protocol = newNegotiation(s.Message, s.URL, state.Protocol)
	s.request = newRequest(s.WriteRelabel, s.protocol.current.message(s.Metadata.Send))
	s.begin(state)
	return nil
}

// begin reads the log anew from the first number that the state leaves open. A
// range whose answer was never seen is sent again with the same cut; after a
// boot that followed no clean stop the position itself may be some seconds
// old, so that everything after it is uncertain until the receiver accepts
// something.
func (s *sender) begin(state wal.State) {
	if s.feed != nil {
		s.feed.reader.Close()
	}
	s.state = state
	s.feed = newFeed(s.log, state, s.stats)
	s.stats.begin(s.feed.next)
	s.unknownTo = state.InFlight.To
	s.careful = !state.Clean && state.BootID != [16]byte{} && state.BootID != s.clock.boot
	s.state.Clean, s.state.BootID = false, s.clock.boot
	s.save() // from here on a power cut is no clean stop
}

// rewind begins anew if the log's directory was found late: what a start
// without it could not know of is still to be delivered. What is pending was
// not announced yet and is read again.
func (s *sender) rewind() {
	if state, ok := s.cursor.Rewound(); ok {
		s.begin(state)
	}
}

// close saves the position of a clean stop, durably.
func (s *sender) close() error {
	s.state.Clean = true
	if err := s.cursor.Save(s.state); err != nil {
		return fmt.Errorf("receiver %s: %w", s.Name, err)
	}
	return nil
}
