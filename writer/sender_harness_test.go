package writer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"nodepush/metric"
)

// sink is a remote-write receiver that keeps what it takes.
type sink struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	requests []*prompb.WriteRequest // in the order of their arrival, answered or not
	headers  []http.Header
	stored   map[string]map[int64]float64 // by series and time
	dropped  int                          // markers of staleness that were stored
	judge    func(n int, w *prompb.WriteRequest) int

	retryAfter string // header of the answers
	knows2     bool   // takes messages of 2.0 and counts; otherwise they are empty messages of 1.0
	refuse2    int    // status for messages of 2.0; 0: as the judge says
	written    int    // what is counted less than was sent
	silent     bool   // stores messages of 2.0 and says nothing of it
}

// newSink returns a sink whose judge gives the status for the n-th request,
// counted from 0; nil: 204 for all. A request is stored if its status is 2xx.
func newSink(t testing.TB, judge func(n int, w *prompb.WriteRequest) int) *sink {
	s := &sink{t: t, stored: make(map[string]map[int64]float64), judge: judge}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	block, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender left
	}
	var req prompb.WriteRequest
	raw, err := snappy.Decode(nil, block)
	v2 := r.Header.Get("Content-Type") == protocol2.contentType
	if err == nil && v2 && s.knows2 {
		var m writev2.Request
		if err = m.Unmarshal(raw); err == nil {
			req = asVersion1(&m)
		}
	} else if err == nil {
		err = req.Unmarshal(raw)
	}
	if err != nil {
		s.t.Errorf("request cannot be read: %v", err)
	}
	s.mu.Lock()
	n, status, judge := len(s.requests), 204, s.judge
	s.requests = append(s.requests, &req)
	s.headers = append(s.headers, r.Header)
	s.mu.Unlock()
	if judge != nil {
		status = judge(n, &req)
	}
	if v2 && s.refuse2 != 0 {
		status = s.refuse2
	}
	if status/100 == 2 {
		s.store(&req)
	}
	if v2 && s.knows2 && s.refuse2 == 0 && !s.silent {
		n := 0
		for _, ts := range req.Timeseries {
			n += len(ts.Samples) + len(ts.Histograms)
		}
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(max(0, n-s.written)))
	}
	if status == 0 {
		panic(http.ErrAbortHandler) // breaks the connection
	}
	if s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "answer number %d", n)
}

// asVersion1 returns a message with its symbols resolved.
func asVersion1(m *writev2.Request) (w prompb.WriteRequest) {
	var b labels.ScratchBuilder
	for i := range m.Timeseries {
		in := &m.Timeseries[i]
		ls, err := in.ToLabels(&b, m.Symbols)
		if err != nil {
			panic(err)
		}
		out := prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil)}
		for _, v := range in.Samples {
			out.Samples = append(out.Samples, prompb.Sample{Value: v.Value, Timestamp: v.Timestamp})
		}
		w.Timeseries = append(w.Timeseries, out)
	}
	return w
}

// versions returns the versions of the requests, in their order.
func (s *sink) versions() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.headers {
		list = append(list, h.Get("X-Prometheus-Remote-Write-Version"))
	}
	return list
}

func (s *sink) store(w *prompb.WriteRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ts := range w.Timeseries {
		name := seriesName(ts.Labels)
		if s.stored[name] == nil {
			s.stored[name] = make(map[int64]float64)
		}
		for _, sample := range ts.Samples {
			if math.Float64bits(sample.Value) == staleNaN {
				s.dropped++
				continue
			}
			if old, ok := s.stored[name][sample.Timestamp]; ok && old != sample.Value {
				s.t.Errorf("%s at %d was %v, now %v", name, sample.Timestamp, old, sample.Value)
			}
			s.stored[name][sample.Timestamp] = sample.Value
		}
	}
}

func seriesName(ls []prompb.Label) string {
	for _, l := range ls {
		if l.Name == "__name__" {
			return l.Value
		}
	}
	return ""
}

// samples returns how many samples are stored.
func (s *sink) samples() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ts := range s.stored {
		n += len(ts)
	}
	return n
}

// has reports how many samples of a series are stored.
func (s *sink) has(series string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stored[series])
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// request returns the series and times of a request.
func (s *sink) request(n int) (names []string, times []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return contents(s.requests[n])
}

func contents(w *prompb.WriteRequest) (names []string, times []int64) {
	seen := make(map[int64]bool)
	for _, ts := range w.Timeseries {
		names = append(names, seriesName(ts.Labels))
		for _, sample := range ts.Samples {
			if !seen[sample.Timestamp] {
				seen[sample.Timestamp] = true
				times = append(times, sample.Timestamp)
			}
		}
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return names, times
}

// pipe is a writer under test whose tasks run until stop or kill.
type pipe struct {
	*Writer
	t      testing.TB
	cancel context.CancelFunc
	done   sync.WaitGroup // all tasks

	receivers sync.WaitGroup // tasks that end after a drain
	source    *metric.Source
	log       *syncText
	time      int64 // of the next collection
}

// syncText is a log that can be read while it is written.
type syncText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var testBoot = [16]byte{1, 2, 3}

func testClock() clock {
	return clock{now: time.Now, mono: func() int64 { return time.Now().UnixMilli() - 1000 }, boot: testBoot}
}

// testReceiver returns a receiver of 1.0 that is retried quickly.
func testReceiver(name, url string) Receiver {
	return Receiver{Name: name, URL: url, Timeout: 5 * time.Second, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		BatchSendDeadline: 20 * time.Millisecond, Message: Message1}
}

func openPipe(t testing.TB, dir string, clock clock, receivers ...Receiver) *pipe {
	t.Helper()
	return openPipeSize(t, dir, 0, clock, receivers...)
}

func openPipeSize(t testing.TB, dir string, size int64, clock clock, receivers ...Receiver) *pipe {
	t.Helper()
	text := &syncText{}
	w, err := open(Config{Dir: dir, MaxSize: size, SyncInterval: time.Minute, Receivers: receivers, Version: "1"},
		slog.New(slog.NewTextHandler(text, nil)), clock)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	p := &pipe{Writer: w, t: t, log: text, time: clock.now().UnixMilli() - 3_600_000,
		source: &metric.Source{Name: "node", BootID: clock.boot, Labels: []metric.Label{{Name: "job", Value: "node"}}}}
	return p
}

// start runs the tasks, as package agent does.
func (p *pipe) start() *pipe {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	for _, task := range p.Tasks() {
		receiver := task.Drains
		if receiver {
			p.receivers.Add(1)
		}
		p.done.Go(func() {
			if receiver {
				defer p.receivers.Done()
			}
			if err := task.Run(ctx); err != nil {
				p.t.Errorf("task %s: %v", task.Name, err)
			}
		})
	}
	p.t.Cleanup(func() { p.cancel(); p.done.Wait() })
	return p
}

// kill stops everything where it is, without a word to the disk.
func (p *pipe) kill() {
	if p.cancel != nil {
		p.cancel()
	}
	p.done.Wait()
	p.Writer.log.Close()
}

// stop is a clean stop: drain, join, close.
func (p *pipe) stop() {
	p.t.Helper()
	p.Drain()
	ended := make(chan struct{})
	go func() { p.receivers.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		p.t.Error("receivers did not end after a drain")
	}
	p.cancel()
	p.done.Wait()
	if err := p.Close(); err != nil {
		p.t.Errorf("Close: %v", err)
	}
}

var testDescs = func() (ds []*metric.Desc) {
	for i := range 2000 {
		ds = append(ds, &metric.Desc{Name: fmt.Sprintf("m%d", i), Type: metric.Gauge})
	}
	return ds
}()

// collection returns one of n series at p.time.
func (p *pipe) collection(n int) *metric.Collection {
	c := &metric.Collection{Source: p.source, Time: p.time, Mono: p.time}
	for i := range n {
		c.Samples = append(c.Samples, metric.Sample{Desc: testDescs[i], Value: float64(p.time%1000) + float64(i)})
	}
	return c
}

// anotherBoot returns the source as it was before the host's last start.
func (p *pipe) anotherBoot() *metric.Source {
	s := *p.source
	s.BootID[0]++
	return &s
}

// collect appends a collection of n series, 15 s after the one before.
func (p *pipe) collect(n int) {
	p.t.Helper()
	c := p.collection(n)
	p.time += 15_000
	if err := p.Append(c, time.Now().Add(time.Hour)); err != nil {
		p.t.Errorf("Append: %v", err)
	}
}

// value returns the value of a receiver's metric; labels beyond the receiver
// are given in rest.
func (p *pipe) value(name, receiver string, rest ...string) float64 {
	p.t.Helper()
	var b metric.Buffer
	p.Collect(time.Now(), &b)
	for _, s := range b.Samples() {
		if s.Desc.Name == name && len(s.Values) == 1+len(rest) && s.Values[0] == receiver && (len(rest) == 0 || s.Values[1] == rest[0]) {
			return s.Value
		}
	}
	return math.NaN()
}

func (p *pipe) dropped(receiver, reason string) int {
	p.t.Helper()
	return int(p.value("nodepush_dropped_samples_total", receiver, reason))
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
