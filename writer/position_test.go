package writer

import (
	"os"
	"slices"
	"testing"
	"time"

	"nodepush/writer/wal"
)

// setCursor changes what the disk says of a receiver.
func setCursor(t *testing.T, dir, receiver string, change func(s *wal.State)) {
	t.Helper()
	log, err := wal.Open(dir, wal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cursor, err := log.Cursor(receiver)
	if err != nil {
		t.Fatal(err)
	}
	s := cursor.State()
	change(&s)
	if err := cursor.Save(s); err != nil {
		t.Fatal(err)
	}
}

// A position may be no range, or several; what none of them holds arrives.
func TestPositionOfAnyRanges(t *testing.T) {
	tests := []struct {
		name  string
		acked []wal.Range // heads are 1 and 2, six collections 3 to 8
		want  int         // collections that arrive, with a seventh
	}{
		{"none", nil, 7},
		{"one", []wal.Range{{From: 0, To: 5}}, 5},
		{"several", []wal.Range{{From: 0, To: 4}, {From: 5, To: 6}, {From: 8, To: 9}}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, s := t.TempDir(), newSink(t, nil)
			p := openPipe(t, dir, testClock(), testReceiver("r", s.URL))
			for range 6 {
				p.collect(10)
			}
			last := p.time
			p.kill()
			setCursor(t, dir, "r", func(s *wal.State) { s.Acked = tt.acked })
			p = openPipe(t, dir, testClock(), testReceiver("r", s.URL)).start()
			p.time = last
			p.collect(10)
			eventually(t, "everything arrives", func() bool { return p.value("nodepush_backlog_frames", "r") == 0 })
			p.stop()
			if got := s.samples(); got != 10*tt.want {
				t.Errorf("%d samples arrived, want %d", got, 10*tt.want)
			}
			setCursor(t, dir, "r", func(s *wal.State) {
				if len(s.Acked) != 1 || s.Acked[0].From != 0 {
					t.Errorf("in the end the position is %v, want one range", s.Acked)
				}
			})
		})
	}
}

// What is acknowledged ahead of the position stays so until it is passed.
func TestPositionKeepsRanges(t *testing.T) {
	f := &feed{first: 2, next: 4, acked: []wal.Range{{From: 6, To: 8}, {From: 10, To: 12}}, stats: &stats{}, dec: newDecoder()}
	for _, seq := range []uint64{4, 5, 8} {
		f.pending = append(f.pending, item{decoded: &decoded{seq: seq}})
	}
	f.done(2)
	if got, want := f.position(), []wal.Range{{From: 2, To: 6}, {From: 6, To: 8}, {From: 10, To: 12}}; !slices.Equal(got, want) {
		t.Errorf("position = %v, want %v", got, want)
	}
	f.done(1)
	if got, want := f.position(), []wal.Range{{From: 2, To: 9}, {From: 10, To: 12}}; !slices.Equal(got, want) {
		t.Errorf("position = %v, want %v", got, want)
	}
}

// When the directory cannot be used at the start and is back later, its old
// backlog is delivered as well.
func TestDirectoryFoundLate(t *testing.T) {
	dir := t.TempDir()
	wal, away := dir+"/wal", dir+"/away"
	down := true
	inBubble(t, wal, Receiver{}, judgeBy(&down), func(p *pipe, s *sink) {
		p.appendNow(10, time.Hour)
		time.Sleep(time.Minute)
		p.appendNow(10, time.Hour)
	})
	if err := os.Rename(wal, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	down = false
	inBubble(t, wal, Receiver{}, judgeBy(&down), func(p *pipe, s *sink) {
		time.Sleep(time.Hour)
		p.appendNow(7, time.Hour)
		if got := s.samples(); got != 7 {
			t.Errorf("without the directory %d samples arrive, want 7", got)
		}
		if got := p.Unwritten(); got == 0 {
			t.Error("nothing is unwritten while the directory is missing")
		}
		if p.senders[0].stats.inHand(3) {
			t.Error("a collection that was never read is in hand")
		}
		os.Remove(wal)
		if err := os.Rename(away, wal); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Minute)
			p.appendNow(1, time.Hour)
		}
		if got := s.samples(); got != 30 {
			t.Errorf("%d samples arrived, want 30", got)
		}
		if got := p.Unwritten(); got != 0 {
			t.Errorf("%d bytes are unwritten though the directory is back", got)
		}
		if b := p.Backlog(); b[0].Frames != 0 {
			t.Errorf("backlog = %+v, want none", b)
		}
	})
}
