package writer

import (
	"slices"
	"time"

	"nodepush/writer/wal"
)

// item is a collection on its way to one receiver.
type item struct {
	*decoded
	segment uint64    // that holds it
	read    time.Time // when it was read from the log
}

// limits bound the samples of a batch.
type limits struct {
	live    int // enough to be sent at once
	catchUp int // what a batch may hold
	parts   int // what one request may hold, above which a collection is cut by series
}

// The limits where the user set none, and the bytes of a compressed body from
// which on a batch is cut smaller.
const (
	liveSamples    = 10_000
	catchUpSamples = 20_000
	bodyLimit      = 1 << 20
)

// newLimits returns the limits for max_samples_per_send.
func newLimits(perSend int) limits {
	if perSend > 0 {
		return limits{perSend, perSend, perSend}
	}
	return limits{liveSamples, catchUpSamples, catchUpSamples}
}

// capped returns the limits below what the receiver turned out to take.
func (l limits) capped(most int) limits {
	if most <= 0 {
		return l
	}
	return limits{min(l.live, most), min(l.catchUp, most), min(l.parts, most)}
}

// maxJump is the longest gap in time inside a batch. A 1.0 receiver may refuse
// a whole request because of its oldest sample, so what was collected before a
// night without power does not travel with what is fresh.
const maxJump = 10 * time.Minute

// maxCollections bounds the memory that a batch of small collections takes.
const maxCollections = 256

// feed reads the log for one receiver and cuts it into batches: whole
// collections, oldest first. It is used by one goroutine.
//
//	log ─▶ reader ─▶ decoder ─▶ pending ─▶ cut ─▶ batch
type feed struct {
	reader *wal.Reader
	dec    *decoder
	stats  *stats

	first   uint64      // where the acknowledged numbers begin
	next    uint64      // first number that is not acknowledged: what is below was delivered before
	acked   []wal.Range // of what is not below, what was delivered before: from an earlier start
	fixed   wal.Range   // range that must be sent again with the same cut; empty: none
	pending []item      // read and not delivered
	samples int         // in pending
	usual   int         // samples of the last collection, by which damage is estimated
	unsized int         // collections lost to damage whose samples are not counted yet
	lost    wal.Damage
}

// newFeed returns a feed of what the state leaves open.
func newFeed(log *wal.Log, state wal.State, stats *stats) *feed {
	f := &feed{dec: newDecoder(), stats: stats, acked: state.Acked, fixed: state.InFlight}
	if len(f.acked) > 0 {
		f.first, f.next, f.acked = f.acked[0].From, f.acked[0].To, f.acked[1:]
	}
	f.reader = log.Reader(f.next)
	return f
}

// position returns the acknowledged ranges.
func (f *feed) position() []wal.Range {
	return append([]wal.Range{{From: f.first, To: f.next}}, f.acked...)
}

// fill reads from the log until a batch is full or the log is at its end, and
// reports whether the cut is final: nothing that comes could change it.
func (f *feed) fill(l limits, now time.Time) (final bool) {
	for {
		if n := f.cut(l); n > 0 && (n < len(f.pending) || f.fixed.To == f.pending[n-1].seq+1) {
			return true
		}
		frame, ok := f.reader.Next()
		if !ok {
			return f.fixed.To > 0 && len(f.pending) > 0 || f.samples >= l.live
		}
		f.countLost(frame.Seq)
		f.take(frame, now)
	}
}

// take decodes a frame and queues the collection in it, if there is one that
// is still to be delivered.
func (f *feed) take(frame wal.Frame, now time.Time) {
	f.stats.readTo(frame.Seq + 1)
	defer f.queued()
	d, err := f.dec.decode(frame)
	if err != nil {
		if frame.Kind != wal.Head && !f.delivered(frame.Seq) {
			f.stats.drop(dropDamaged, f.samplesOf(frame))
		}
		return
	}
	if d == nil {
		return
	}
	f.usual = d.count
	f.size()
	if f.delivered(d.seq) {
		f.dec.release(d)
		return
	}
	if len(f.pending) == 0 && d.seq >= f.fixed.To {
		f.fixed = wal.Range{} // nothing of it is left
	}
	f.stats.drop(dropDamaged, d.lost)
	f.pending = append(f.pending, item{decoded: d, segment: frame.Segment, read: now})
	f.samples += d.count
}

// queued notes what is pending.
func (f *feed) queued() {
	oldest := int64(0)
	if len(f.pending) > 0 {
		oldest = f.pending[0].time
	}
	f.stats.queued(len(f.pending), oldest)
}

// delivered reports whether the receiver has the collection with that number.
func (f *feed) delivered(seq uint64) bool {
	return seq < f.next || slices.ContainsFunc(f.acked, func(r wal.Range) bool { return seq >= r.From && seq < r.To })
}

// samplesOf returns how many samples a frame that cannot be decoded holds;
// where even that is unknown, as many as the collection before it.
func (f *feed) samplesOf(frame wal.Frame) int {
	if n := countSamples(frame); n > 0 {
		return n
	}
	return f.usual
}

// countLost counts what the reader had to skip before the frame with that
// number, unless it was delivered before.
func (f *feed) countLost(seq uint64) {
	lost := f.reader.Lost()
	if n := min(lost.Frames-f.lost.Frames, seq-min(seq, f.next)); n > 0 {
		f.unsized += int(n)
	}
	f.lost = lost
	f.size()
}

// size counts the collections lost as if they were like the one before, or
// where there was none, the one after.
func (f *feed) size() {
	if f.usual > 0 && f.unsized > 0 {
		f.stats.drop(dropDamaged, f.unsized*f.usual)
		f.unsized = 0
	}
}

// cut returns how many of the pending collections make the next batch: at
// least one, if there is one.
func (f *feed) cut(l limits) int {
	samples := 0
	for n, it := range f.pending {
		samples += it.count
		if n == maxCollections && f.fixed.To == 0 {
			return n
		}
		if n > 0 && f.separate(f.pending[0], f.pending[n-1], it, samples, l) {
			return n
		}
	}
	return len(f.pending)
}

// separate reports whether a collection cannot be in the batch from first to
// last, which with it would hold that many samples.
func (f *feed) separate(first, last, it item, samples int, l limits) bool {
	if f.fixed.To > 0 {
		return it.seq >= f.fixed.To
	}
	gap := time.Duration(it.time-last.time) * time.Millisecond
	return samples > l.catchUp || it.segment != first.segment || gap > maxJump || gap < -maxJump
}

// samplesIn returns how many samples the first n pending collections have.
func (f *feed) samplesIn(n int) (samples int) {
	for _, it := range f.pending[:n] {
		samples += it.count
	}
	return samples
}

// done takes the first n collections off the queue: there is a final answer
// for them.
func (f *feed) done(n int) {
	for _, it := range f.pending[:n] {
		f.next = it.seq + 1
		f.samples -= it.count
		f.dec.release(it.decoded)
	}
	rest := copy(f.pending, f.pending[n:])
	clear(f.pending[rest:])
	f.pending = f.pending[:rest]
	for len(f.acked) > 0 && f.acked[0].To <= f.next {
		f.acked = f.acked[1:]
	}
	if f.next >= f.fixed.To {
		f.fixed = wal.Range{}
	}
	f.queued()
}
