package view

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	stale "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"nodepush/receiver"
)

// stage is an observer and its receiver, which is sent samples by remote write.
type stage struct {
	*observer
	t *testing.T
}

func newStage(t *testing.T) stage {
	return stage{newObserver(Options{Receiver: receiver.New(receiver.Options{}), Dir: t.TempDir(), Address: "here"}), t}
}

// send sends a sample a line, "name label=value ... number", all of the same second.
func (s stage) send(second int, lines string) {
	s.t.Helper()
	var m prompb.WriteRequest
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: words[0]}}}
		for _, w := range words[1 : len(words)-1] {
			name, v, _ := strings.Cut(w, "=")
			ts.Labels = append(ts.Labels, prompb.Label{Name: name, Value: v})
		}
		v := math.Float64frombits(stale.StaleNaN)
		if last := words[len(words)-1]; last != "stale" {
			fmt.Sscan(last, &v)
		}
		ts.Samples = []prompb.Sample{{Timestamp: int64(second) * 1000, Value: v}}
		m.Timeseries = append(m.Timeseries, ts)
	}
	b, err := m.Marshal()
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", receiver.Path, bytes.NewReader(snappy.Encode(nil, b)))
	for name, v := range map[string]string{"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
		"X-Prometheus-Remote-Write-Version": "0.1.0", "User-Agent": "test/1"} {
		r.Header.Set(name, v)
	}
	w := httptest.NewRecorder()
	s.sink.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		text, _ := io.ReadAll(w.Body)
		s.t.Fatalf("%d %s", w.Code, text)
	}
}

// at is the snapshot of a second.
func (s stage) at(second int) snapshot { return s.snapshot(time.Unix(int64(second), 0)) }

// A rate needs two samples, goes by their own times, stays while nothing
// comes, and is unknown after a reset and for a new series.
func TestRates(t *testing.T) {
	s := newStage(t)
	for i, c := range []struct {
		second int
		sample string // of the counter; "" for no request
		want   string
	}{
		{10, "100", "[{eth0 NaN NaN NaN NaN}]"},
		{12, "300", "[{eth0 100 NaN NaN NaN}]"},
		{13, "", "[{eth0 100 NaN NaN NaN}]"},
		{14, "300", "[{eth0 0 NaN NaN NaN}]"},
		{15, "50", "[{eth0 NaN NaN NaN NaN}]"},
		{16, "60", "[{eth0 10 NaN NaN NaN}]"},
		{17, "NaN", "[{eth0 NaN NaN NaN NaN}]"},
		{18, "70", "[{eth0 NaN NaN NaN NaN}]"},
		{19, "stale", "[]"},
		{20, "90", "[{eth0 NaN NaN NaN NaN}]"},
		{21, "91", "[{eth0 1 NaN NaN NaN}]"},
	} {
		if c.sample != "" {
			s.send(c.second, "node_network_receive_bytes_total device=eth0 "+c.sample)
		}
		if got := fmt.Sprint(s.at(c.second).interfaces); got != c.want {
			t.Errorf("step %d: %s, want %s", i, got, c.want)
		}
	}
	if n := len(s.counters.now) + len(s.counters.last); n > 2 {
		t.Errorf("%d readings are remembered of one series", n)
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	s := newStage(t).at(5)
	if got := fmt.Sprintf("%+v", s.delivery); got != "{address:here protocol: requests:0 refused:0 refusal: answers:[] rounds:0 samples:0 series:0 perSecond:NaN wire:NaN age:NaN log:0}" {
		t.Error(got)
	}
	if len(s.cpus)+len(s.disks)+len(s.filesystems)+len(s.interfaces) > 0 || known(s.uptime) || known(s.memory.total) || s.host != "" {
		t.Errorf("%+v", s)
	}
}

func TestSnapshotOfDelivery(t *testing.T) {
	s := newStage(t)
	if err := os.WriteFile(s.dir+"/segment", make([]byte, 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	s.send(100, "up 1\nnodepush_requests_total code=204 0\nnodepush_requests_total code=503 2")
	s.at(100)
	s.send(102, "up 1\nnodepush_requests_total code=204 1\nnodepush_requests_total code=503 2")
	s.send(103, "up 1\nnodepush_requests_total code=204 3\nnodepush_requests_total code=503 2")
	s.sink.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", receiver.Path, nil))
	d := s.at(105).delivery
	if d.requests != 4 || d.refused != 1 || d.refusal == "" || d.rounds != 3 || d.samples != 9 || d.series != 3 || d.perSecond != 2 || d.age != 2 || d.log != 1000 {
		t.Errorf("%+v", d)
	}
	if d.protocol != "remote write 1.0" || fmt.Sprint(d.answers) != "[503 x2 204 x3]" {
		t.Errorf("protocol %q, answers %v", d.protocol, d.answers)
	}
	wire := s.sink.Stats().WireBytes
	if want := float64(wire) * 2 / 3 / 6; math.Abs(d.wire-want) > 1 {
		t.Errorf("%v B/sample on the wire, want about %v", d.wire, want)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var o observer
	for i := range 100 {
		o.addAnswers(fmt.Sprint(200+i%2), 1)
	}
	o.addAnswers("201", 4)
	if got := fmt.Sprint(o.answers[len(o.answers)-2:]); len(o.answers) != maxAnswers || got != "[200 x1 201 x5]" {
		t.Errorf("%d answers, the newest %s", len(o.answers), got)
	}
}

func TestSnapshotOfHost(t *testing.T) {
	s := newStage(t)
	host := func(second, cpu int) {
		s.send(second, fmt.Sprintf(`
node_cpu_seconds_total cpu=0 mode=idle %d
node_cpu_seconds_total cpu=0 mode=user %d
node_cpu_seconds_total cpu=10 mode=idle 50
node_cpu_seconds_total cpu=9 mode=idle 40
node_uname_info nodename=edge 1
node_load1 0.5
node_disk_io_time_seconds_total device=sda 5
node_disk_io_time_seconds_total device=sdb %d
node_filesystem_device_error device=/dev/a mountpoint=/snap/a 0
node_filesystem_device_error device=/dev/a mountpoint=/ 0
node_filesystem_device_error device=tmpfs mountpoint=/run 0
node_filesystem_device_error device=tmpfs mountpoint=/run/lock 0
node_filesystem_device_error device=proc mountpoint=/proc 0
node_filesystem_device_error device=srv:/ device_error=timeout mountpoint=/nfs 1
node_filesystem_size_bytes device=/dev/a mountpoint=/snap/a 100
node_filesystem_size_bytes device=/dev/a mountpoint=/ 100
node_filesystem_free_bytes device=/dev/a mountpoint=/ 50
node_filesystem_avail_bytes device=/dev/a mountpoint=/ 30
node_filesystem_size_bytes device=tmpfs mountpoint=/run 100
node_filesystem_size_bytes device=tmpfs mountpoint=/run/lock 100
node_filesystem_size_bytes device=proc mountpoint=/proc 0`, 100+cpu, 20+3*cpu, cpu))
	}
	host(1, 0)
	s.at(1)
	host(2, 1)
	got := s.at(2)
	if c := fmt.Sprint(got.cpus); c != "[{0 [0.75 0 0 0 0 0 0]} {9 []} {10 []}]" {
		t.Errorf("CPUs %s", c)
	}
	if c := fmt.Sprint(allCPUs(got.cpus)); c != "{all [0.75 0 0 0 0 0 0]}" {
		t.Errorf("all CPUs %s", c)
	}
	if got.uptime != 124 || got.host != "edge" || got.load[0] != 0.5 {
		t.Errorf("up %v, host %q, load %v", got.uptime, got.host, got.load)
	}
	if d := fmt.Sprint(got.disks); d != "[{sdb NaN NaN NaN 1} {sda NaN NaN NaN 0}]" {
		t.Errorf("disks %s", d)
	}
	names := ""
	for _, f := range got.filesystems {
		names += f.mountpoint + f.problem + " "
	}
	if names != "/ /nfstimeout /run /run/lock " || got.filesystems[0].used() != 50.0/80 {
		t.Errorf("file systems %s, of / %v used", names, got.filesystems[0].used())
	}
}
