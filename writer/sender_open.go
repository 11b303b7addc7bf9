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
	client, err := newClient(r, protocol1, version)
	if err != nil {
		return nil, err
	}
	return &sender{
		Receiver: r,
		client:   client,
		request:  newRequest(r.WriteRelabel),
		backoff:  newBackoff(r.MinBackoff, r.MaxBackoff),
		clock:    clock,
		stats:    &stats{receiver: r.Name, started: clock.now()},
		report:   &reporter{log: log.With("receiver", r.Name), now: time.Now},
	}, nil
}

// attach opens the receiver's position in the log. A range whose answer was
// never seen is sent again with the same cut; after a boot that followed no
// clean stop the position itself may be some seconds old, so that everything
// after it is uncertain until the receiver accepts something.
func (s *sender) attach(log *wal.Log) error {
	cursor, err := log.Cursor(s.Name)
	if err != nil {
		return fmt.Errorf("receiver %s: %w", s.Name, err)
	}
	s.log, s.cursor, s.state = log, cursor, cursor.State()
	next := uint64(0)
	if acked := s.state.Acked; len(acked) > 0 {
		next = acked[0].To
	}
	s.feed = &feed{
		reader: log.Reader(next), dec: newDecoder(), stats: s.stats,
		next: next, acked: s.state.Acked, fixed: s.state.InFlight,
	}
	s.stats.readTo(next)
	s.unknownTo = s.state.InFlight.To
	s.careful = !s.state.Clean && s.state.BootID != [16]byte{} && s.state.BootID != s.clock.boot
	s.state.Clean, s.state.BootID, s.state.Protocol = false, s.clock.boot, protocol1.message
	s.save() // from here on a power cut is no clean stop
	return nil
}

// close saves the position of a clean stop, durably.
func (s *sender) close() error {
	s.state.Clean = true
	if err := s.cursor.Save(s.state); err != nil {
		return fmt.Errorf("receiver %s: %w", s.Name, err)
	}
	return nil
}
