package writer

import (
	"errors"
	"fmt"
	"slices"

	"nodepush/metric"
	"nodepush/writer/wal"
)

const (
	minSegment   = 512 << 10 // bytes at which a segment is full, at least
	perDict      = 8         // and at least so many times its dictionaries
	segmentsKept = 16        // but at most this part of the log
	moment       = 1000      // ms by which the first collection of a source may be put off
	orphanGrace  = 5 * 60e3  // ms after which a source of the previous run that does not come is over
)

// errTooLarge is returned for a collection that fits in no frame.
var errTooLarge = errors.New("collection does not fit in a frame of the log")

// encoder writes collections to a log. It is used by one goroutine.
type encoder struct {
	log     appender
	maxSize int64            // of a segment
	sources []*encoderSource // by their number in the segment
	byName  map[string]*encoderSource
	open    bool  // there is a segment whose frames the encoder knows
	heads   int64 // bytes of the head payloads in it
	begun   int64 // its size when it had nothing but those
	started bool
	since   int64 // mono of the first collection
	ended   ending
	drops   encoderDrops
	scratch
}

// scratch is memory that one call leaves to the next.
type scratch struct {
	labels, labels2 []metric.Label
	body, payload   []byte
	pack            packer
	coder           dataCoder
	absent          []int32
}

// encoderDrops counts samples that did not get into the log although append succeeded.
type encoderDrops struct {
	duplicate uint64 // the collection had the series already
	invalid   uint64 // no metric name, a wrong number of label values, or texts above maxText
	overflow  uint64 // the source has maxIDs series
}

func (d encoderDrops) sum() uint64 { return d.duplicate + d.invalid + d.overflow }

// newEncoder returns an encoder for a log of at most maxSize bytes. previous
// is what restore found in the log: series in there that do not come back
// become stale.
func newEncoder(log appender, maxSize int64, previous []lastCollection) *encoder {
	e := &encoder{log: log, maxSize: maxSize / segmentsKept, byName: make(map[string]*encoderSource)}
	for _, l := range previous {
		e.add(restoredSource(l))
	}
	return e
}

func (e *encoder) add(s *encoderSource) {
	s.number = len(e.sources)
	e.sources = append(e.sources, s)
	e.byName[s.name] = s
}

// append writes c. After an error the log does not have it and the encoder
// can go on with the next; samples of c are not referred to afterwards.
func (e *encoder) append(c *metric.Collection) error {
	s := e.sourceOf(c.Source)
	e.match(s, c)
	e.follow(s)
	err := e.store(s)
	if err == nil {
		e.endOrphans(c.Time, c.Mono)
	}
	return err
}

// ending is the newest collection in which a series of a source was over.
type ending struct {
	source string
	time   int64
}

// follow lets the first collection of a source come after the one in which a
// series of another ended a moment ago. The series may have moved between
// them, which is seen at a start only, where rounds of both often begin in one
// millisecond; it must not end after it came, nor end and come at once.
func (e *encoder) follow(s *encoderSource) {
	late := e.ended.time - s.round.time
	if !s.begun && e.ended.source != "" && e.ended.source != s.name && late >= 0 && late < moment {
		s.round.time += late + 1
	}
}

// sourceOf returns the state of src. New labels or a new boot need a new segment.
func (e *encoder) sourceOf(src *metric.Source) *encoderSource {
	s := e.byName[src.Name]
	if s == nil {
		s = newEncoderSource(src.Name)
		e.add(s)
		s.adopt(src)
		return s
	}
	if s.source != src {
		if s.source == nil || !sameSource(s.source, src) {
			s.adopt(src)
			e.open = false
		}
		s.source = src
	}
	return s
}

func sameSource(a, b *metric.Source) bool {
	return a.BootID == b.BootID && a.Start == b.Start && slices.Equal(a.Labels, b.Labels)
}

// store writes the round of s, in a new segment when that is due, or when the
// present one has become uncertain because of an error.
func (e *encoder) store(s *encoderSource) (err error) {
	for range 2 {
		if e.due() {
			if err := e.roll(s); err != nil {
				return fmt.Errorf("begin a segment: %w", err)
			}
		}
		err = e.write(s)
		if err == nil || errors.Is(err, errTooLarge) {
			return err
		}
		e.open = false
	}
	return fmt.Errorf("write collection of source %q: %w", s.name, err)
}

// due reports whether the next collection begins a segment: when the segment
// is full, or most of what its dictionaries name is gone. A segment is at
// least half frames, whatever the limits say, or dictionaries would be all
// that a log has.
func (e *encoder) due() bool {
	if !e.open {
		return true
	}
	ids, alive := 0, 0
	for _, s := range e.sources {
		ids += len(s.entries)
		alive += s.alive
	}
	if dead := ids - alive; dead > alive && dead >= 128 {
		return true
	}
	size := e.log.Size()
	return size >= min(max(minSegment, perDict*e.heads), e.maxSize) && size >= 2*e.begun
}

// write appends what the dictionary lacks and the round of s to the open segment.
func (e *encoder) write(s *encoderSource) error {
	for s.incomplete() {
		payload := s.nextHead(0)
		if _, err := e.log.Append(wal.Head, payload); err != nil {
			return err
		}
		e.heads += int64(len(payload))
	}
	return e.writeRound(s)
}

// writeRound appends the round of s. After an error nothing may refer to the
// source's key any more, which the log may not have.
func (e *encoder) writeRound(s *encoderSource) error {
	kind, payload := e.frame(s)
	keyed := s.keyed
	s.keyed = false
	if len(payload) > maxPayload {
		return fmt.Errorf("%d samples take %d bytes: %w", s.round.count, len(payload), errTooLarge)
	}
	if _, err := e.log.Append(kind, payload); err != nil {
		return err
	}
	s.keyed, s.begun = keyed, true
	if s.last.lacks(s.round.present) {
		e.ended = ending{s.name, s.round.time}
	}
	s.written(kind, len(payload))
	return nil
}

// roll begins a segment with the dictionaries of all sources that had series
// in their last collection, and of s.
func (e *encoder) roll(s *encoderSource) error {
	e.open = false
	alive := e.sources[:0]
	for _, other := range e.sources {
		if other == s || other.last.count() > 0 {
			other.number = len(alive)
			alive = append(alive, other)
		} else {
			delete(e.byName, other.name)
		}
	}
	clear(e.sources[len(alive):])
	e.sources = alive
	var heads [][]byte
	e.heads = 0
	for _, other := range e.sources {
		other.compact(other == s)
		for other.incomplete() {
			heads = append(heads, other.nextHead(len(e.sources)))
			e.heads += int64(len(heads[len(heads)-1]))
		}
	}
	if err := e.log.Roll(heads); err != nil {
		return err
	}
	e.begun, e.open = e.log.Size(), true
	return nil
}

// endOrphans writes an empty collection for each source of the previous run
// that has not come in orphanGrace, so that its series become stale. An error
// leaves it for the next time.
func (e *encoder) endOrphans(time, mono int64) {
	if !e.started {
		e.started, e.since = true, mono
	}
	if mono-e.since < orphanGrace {
		return
	}
	for _, s := range slices.Clone(e.sources) { // store may shorten the list
		if s.source == nil && s.alive > 0 {
			s.begin(time, mono)
			if e.store(s) != nil {
				return
			}
		}
	}
}
