package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"nodepush/receiver"
)

// snapshot is all that a frame shows, at one moment. Texts are as they were
// stored, numbers that the receiver does not have are NaN.
type snapshot struct {
	host        string
	uptime      float64 // seconds
	load        [3]float64
	delivery    delivery
	agent       process
	cpus        []cpuUse
	memory      memoryUse
	swap        memoryUse
	filesystems []filesystemUse // fullest first
	disks       []diskUse       // busiest first
	interfaces  []interfaceUse  // busiest first
	message     string          // newest of the log, "" for none
}

// delivery is what became of what was collected.
type delivery struct {
	address, protocol string
	requests, refused uint64
	refusal           string // the newest one's text
	answers           []answer
	rounds, samples   uint64
	series            int
	perSecond         float64 // samples
	wire              float64 // bytes of a sample, of the newest rounds
	age               float64 // of the newest sample, seconds
	log               int64   // bytes on disk
}

// answer is a status that came several times in a row.
type answer struct {
	code  string
	times uint64
}

// process is the agent itself, with the receiver and the view in it.
type process struct{ cpu, memory float64 } // CPUs, bytes

// observer turns what the receiver has stored into snapshots.
type observer struct {
	sink         *receiver.Receiver
	dir, address string
	counters     counters
	requests     map[string]float64 // stored counts of answers by code
	answers      []answer           // oldest first
}

func newObserver(o Options) *observer {
	return &observer{sink: o.Receiver, dir: o.Dir, address: o.Address}
}

// maxAnswers is how many runs of equal answers are kept.
const maxAnswers = 8

// stored is what the receiver has of one moment: live series by their metric.
type storedSeries map[string][]receiver.Series

// read returns counts and series of the same moment.
func (o *observer) read() (receiver.Stats, storedSeries) {
	stats, all := o.sink.Stats(), o.sink.Series()
	for tries := 0; tries < 3 && o.sink.Stats().Requests != stats.Requests; tries++ {
		stats, all = o.sink.Stats(), o.sink.Series()
	}
	byName := make(storedSeries)
	for _, s := range all {
		if s.Live {
			name := s.Label("__name__")
			byName[name] = append(byName[name], s)
		}
	}
	return stats, byName
}

// snapshot returns what is stored at the time now.
func (o *observer) snapshot(now time.Time) snapshot {
	stats, stored := o.read()
	o.counters.next()
	s := snapshot{
		host:     stored.label("node_uname_info", "nodename"),
		load:     [3]float64{stored.value("node_load1"), stored.value("node_load5"), stored.value("node_load15")},
		delivery: o.delivery(now, stats, stored),
		agent:    process{o.rate(stored, "process_cpu_seconds_total"), stored.value("process_resident_memory_bytes")},
		memory: memoryUse{total: stored.value("node_memory_MemTotal_bytes"), free: stored.value("node_memory_MemFree_bytes"),
			available: stored.value("node_memory_MemAvailable_bytes")},
		swap: memoryUse{total: stored.value("node_memory_SwapTotal_bytes"), free: stored.value("node_memory_SwapFree_bytes"),
			available: stored.value("node_memory_SwapFree_bytes")},
		filesystems: filesystems(stored),
		disks:       o.disks(stored),
		interfaces:  o.interfaces(stored),
	}
	s.cpus, s.uptime = o.cpus(stored)
	return s
}

// delivery describes what has arrived and how.
func (o *observer) delivery(now time.Time, stats receiver.Stats, stored storedSeries) delivery {
	newest := newestOf(stored["up"])
	d := delivery{
		address: o.address, protocol: protocol(stats),
		requests: stats.Requests, refused: stats.Refused, refusal: stats.LastRefusal,
		answers: o.newAnswers(stored), rounds: roundsIn(o.sink), samples: samplesIn(stats), series: stats.Series,
		perSecond: math.NaN(), wire: math.NaN(), age: math.NaN(), log: dirSize(o.dir),
	}
	if newest == 0 {
		return d
	}
	// By the time of the samples, not of this clock: their number is even
	// when the moments of looking are not.
	d.perSecond = o.counters.rate("samples", receiver.Sample{Time: newest, Value: float64(d.samples)})
	d.wire = o.counters.rate("wire", receiver.Sample{Time: newest, Value: float64(stats.WireBytes)}) / d.perSecond
	d.age = max(0, now.Sub(time.UnixMilli(newest)).Seconds())
	return d
}

// newAnswers adds the answers that the agent has counted since the last
// snapshot. Its counters begin at 0 with the demo.
func (o *observer) newAnswers(stored storedSeries) []answer {
	counts := make(map[string]float64)
	for _, s := range stored["nodepush_requests_total"] {
		code := s.Label("code")
		counts[code] = s.Newest.Value
		if n := s.Newest.Value - o.requests[code]; n >= 1 {
			o.addAnswers(code, uint64(n))
		}
	}
	o.requests = counts
	return o.answers
}

func (o *observer) addAnswers(code string, n uint64) {
	if last := len(o.answers) - 1; last >= 0 && o.answers[last].code == code {
		n += o.answers[last].times
		o.answers = o.answers[:last]
	}
	o.answers = append(o.answers, answer{code, n})
	o.answers = slices.Clone(o.answers[max(0, len(o.answers)-maxAnswers):]) // snapshots keep the old ones
}

// protocol names what the requests spoke, "" before the first.
func protocol(s receiver.Stats) string {
	switch s.Requests2 {
	case s.Requests:
		if s.Requests == 0 {
			return ""
		}
		return "remote write 2.0"
	case 0:
		return "remote write 1.0"
	}
	return fmt.Sprintf("remote write 2.0 x%d, 1.0 x%d", s.Requests2, s.Requests-s.Requests2)
}

// value is that of the only series of a metric, NaN when there is another
// number of them.
func (s storedSeries) value(name string) float64 {
	if len(s[name]) != 1 {
		return math.NaN()
	}
	return s[name][0].Newest.Value
}

// label is one of the only series of a metric.
func (s storedSeries) label(name, label string) string {
	if len(s[name]) != 1 {
		return ""
	}
	return s[name][0].Label(label)
}

// by returns the values of a metric by a label that tells its series apart.
func (s storedSeries) by(label, name string) func(string) float64 {
	values := make(map[string]float64)
	for _, one := range s[name] {
		values[one.Label(label)] = one.Newest.Value
	}
	return lookUp(values)
}

// rate is that of the only series of a counter.
func (o *observer) rate(s storedSeries, name string) float64 {
	if len(s[name]) != 1 {
		return math.NaN()
	}
	return o.counters.rate(s[name][0].String(), s[name][0].Newest)
}

// rates returns the rates of a counter by a label that tells its series apart.
func (o *observer) rates(s storedSeries, label, name string) func(string) float64 {
	values := make(map[string]float64)
	for _, one := range s[name] {
		values[one.Label(label)] = o.counters.rate(one.String(), one.Newest)
	}
	return lookUp(values)
}

// lookUp returns the entries of values, NaN for those that are missing.
func lookUp(values map[string]float64) func(string) float64 {
	return func(key string) float64 {
		if v, ok := values[key]; ok {
			return v
		}
		return math.NaN()
	}
}

// newestOf is the time of the newest sample, 0 without any.
func newestOf(all []receiver.Series) (newest int64) {
	for _, s := range all {
		newest = max(newest, s.Newest.Time)
	}
	return newest
}

// byNumber orders names by the numbers at their end: cpu 9, cpu 10.
func byNumber(a, b string) int {
	return cmp.Or(cmp.Compare(len(strings.TrimRight(a, digits)), len(strings.TrimRight(b, digits))),
		cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

const digits = "0123456789"

func (a answer) String() string { return fmt.Sprintf("%s x%s", a.code, thousands(a.times)) }
