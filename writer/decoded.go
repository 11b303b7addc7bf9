package writer

import "nodepush/metric"

// series is one entry of a dictionary.
type series struct {
	labels []metric.Label // complete identity, sorted by name, __name__ among them, none empty
	desc   *metric.Desc
	start  int64  // when the counter began, ms since the epoch; 0 unknown
	hash   uint64 // of labels, once the decoder needed it
}

// dictionary is what the head frames of one segment say of one source. Ids
// are positions in series. It only grows; a new segment has a new dictionary.
type dictionary struct {
	source string
	bootID [16]byte
	series []series
	holes  bool // some series has no desc and no labels: the frame that names it was lost
}

// bitmap is a set of series ids.
type bitmap []uint64

func (b bitmap) has(id int) bool { return id>>6 < len(b) && b[id>>6]&(1<<(id&63)) != 0 }

// decoded is one collection read back from the log.
type decoded struct {
	seq     uint64
	dict    *dictionary
	time    int64 // wall clock, ms since the epoch
	mono    int64 // CLOCK_BOOTTIME, ms
	present bitmap
	count   int       // series present
	lost    int       // further samples that the frame has, of series whose names were lost
	values  []float64 // by id; defined where present
	ext     map[int]*metric.Ext
	gone    []int // ids present in the collection before this one of the same source and absent here: stale now
}
