package e2e

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nodepush/metric"
	"nodepush/receiver"
)

// farEnd is a receiver that can be down.
type farEnd struct {
	*receiver.Receiver
	down atomic.Bool
}

func newFarEnd() *farEnd {
	s := new(farEnd)
	s.Receiver = receiver.New(receiver.Options{Strict: true, KeepBytes: 1 << 26, Answer: func(*http.Request) int {
		if s.down.Load() {
			return http.StatusServiceUnavailable
		}
		return 0
	}})
	return s
}

// latest returns the newest value of the only live series with the labels.
func (s *farEnd) latest(t *testing.T, name string, labels ...metric.Label) float64 {
	t.Helper()
	v, ok := s.Latest(name, labels...)
	if !ok {
		t.Errorf("the receiver has no or several %s%v", name, labels)
	}
	return v.Value
}

// label returns the distinct values of a label over the live series of a metric.
func (s *farEnd) label(name, label string) []string {
	seen := make(map[string]bool)
	for _, one := range s.Select(name) {
		if one.Live {
			seen[one.Label(label)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// whole fails unless the samples of node_load1, stored at 1 s, are in order,
// each once, without a gap above limit.
func (s *farEnd) whole(t *testing.T, limit time.Duration, labels ...metric.Label) {
	t.Helper()
	all := s.Select("node_load1", labels...)
	if len(all) != 1 {
		t.Fatalf("%d series node_load1", len(all))
	}
	samples := all[0].Samples
	widest := time.Duration(0)
	for i := 1; i < len(samples); i++ {
		gap := time.Duration(samples[i].Time-samples[i-1].Time) * time.Millisecond
		widest = max(widest, gap)
		if gap <= 0 || gap > limit {
			t.Errorf("%s between samples %d and %d of %d", gap, i-1, i, len(samples))
		}
	}
	t.Logf("%d samples of node_load1 at 1 s, widest gap %s", len(samples), widest)
}

// documentedRun returns the arguments of the docker run line in
// docs/operations.md, with other names, paths and image.
func documentedRun(t *testing.T, replace ...string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(text), "\ndocker ")
	line, _, ok2 := strings.Cut(line, "\n```")
	if !ok || !ok2 {
		t.Fatal("docs/operations.md has no block with a line docker run")
	}
	for i := 0; i < len(replace); i += 2 {
		if strings.Count(line, replace[i]) != 1 {
			t.Fatalf("documented line has not once %q: %s", replace[i], line)
		}
		line = strings.Replace(line, replace[i], replace[i+1], 1)
	}
	return strings.Fields(strings.ReplaceAll(line, "\\\n", " "))
}

// closedMount mounts a file system of 1 MiB where only root may look.
func closedMount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed", "fs")
	if err := os.MkdirAll(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", closed, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount (this test must be root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(closed, unix.MNT_DETACH) })
	return closed
}

// The documented line runs the image of either builder, and what arrives is
// the host by values: not the container, nor what it mounts. A restart with a
// backlog loses nothing.
func TestImageSeesTheHost(t *testing.T) {
	t.Parallel()
	closed := closedMount(t) // before the daemon, whose namespace hears of no later mounts unless / is shared
	d := startDocker(t)
	for _, builder := range []string{"0", "1"} { // the old one, BuildKit
		t.Run("DOCKER_BUILDKIT="+builder, func(t *testing.T) {
			plain, secure := newFarEnd(), newFarEnd()
			name := runImage(t, d, builder, plain, secure)
			checkContainer(t, d, name)
			checkHost(t, plain, closed)
			checkRestart(t, d, name, plain)
		})
	}
}

// runImage builds the image, runs the documented line until both receivers
// have samples, and returns the container's name.
func runImage(t *testing.T, d *docker, builder string, plain, secure *farEnd) string {
	server, tls := httptest.NewServer(plain), httptest.NewTLSServer(secure)
	t.Cleanup(server.Close)
	t.Cleanup(tls.Close)
	dir := t.TempDir()
	authority := filepath.Join(dir, "authorities.pem")
	write(t, authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw})))
	config := filepath.Join(dir, "etc", "config.yaml")
	if err := os.Mkdir(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, config, fmt.Sprintf(`
global: {scrape_interval: 1s}
remote_write:
- {url: %s/api/v1/write, name: plain, queue_config: {batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 200ms}}
- {url: %s/api/v1/write, name: secure, queue_config: {batch_send_deadline: 200ms}}
wal: {dir: /var/lib/nodepush/wal}
`, server.URL, tls.URL))

	name, image := "agent"+builder, "nodepush:builder"+builder
	makeTarget(t, []string{"DOCKER_BUILDKIT=" + builder, "DOCKER_HOST=" + d.socket, "PATH=" + filepath.Dir(client) + ":" + os.Getenv("PATH")},
		"image", "IMAGE="+image, "BINARY="+filepath.Join(dir, "nodepush"), "VERSION="+version)
	args := documentedRun(t, "--name=nodepush", "--name="+name, "/etc/nodepush:/etc", filepath.Dir(config)+":/etc",
		"-v nodepush:", "-v "+name+":", "nodepush:VERSION", image)
	// The test's authority stands where the host has its list.
	need(t, "update-ca-certificates", "ca-certificates")
	args = slices.Insert(args, len(args)-1, "-v", authority+":/host/etc/ssl/certs/ca-certificates.crt:ro")
	d.do(t, args...)
	t.Cleanup(func() { d.do(t, "rm", "--force", name) })
	eventually(t, 30*time.Second, "samples by http and https", func() error {
		if len(plain.Select("node_cpu_seconds_total")) == 0 || len(secure.Select("node_cpu_seconds_total")) == 0 {
			return fmt.Errorf("none; agent:\n%s", d.do(t, "logs", name))
		}
		return nil
	})
	return name
}

func checkContainer(t *testing.T, d *docker, name string) {
	pid := d.do(t, "inspect", "--format={{.State.Pid}}", name)
	wantStatus(t, pid, map[string]string{
		"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532",
		"CapEff": twoCapabilities, "CapPrm": twoCapabilities, "CapBnd": twoCapabilities,
	})
	t.Logf("image %s bytes, RSS %s after the first rounds", d.do(t, "image", "inspect", "--format={{.Size}}", "nodepush:builder"+name[len("agent"):]), status(t, pid)["VmRSS"])
}

// checkHost compares what the receiver has with the host itself.
func checkHost(t *testing.T, s *farEnd, closed string) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"nodename", s.label("node_uname_info", "nodename"), []string{host}},
		{"instance", s.label("node_uname_info", "instance"), []string{host}},
		{"start of the counters, which is the boot", firstStart(s), int64(procNumber(t, "stat", "btime")) * 1000},
		{"MemTotal", s.latest(t, "node_memory_MemTotal_bytes"), procNumber(t, "meminfo", "MemTotal:") * 1024},
		{"CPUs", s.label("node_cpu_seconds_total", "cpu"), hostCPUs(t)},
		{"interfaces", s.label("node_network_receive_bytes_total", "device"), hostInterfaces(t)},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s: receiver has %v, the host %v", c.what, c.got, c.want)
		}
	}
	points := s.label("node_filesystem_size_bytes", "mountpoint")
	for _, want := range []string{"/", closed} {
		if !slices.Contains(points, want) {
			t.Errorf("file system %s is missing among %v", want, points)
		}
	}
	for _, point := range points {
		var fs unix.Statfs_t
		if err := unix.Statfs(point, &fs); err != nil {
			t.Errorf("mount point %s is not the host's: %v", point, err)
			continue
		}
		if got, want := s.latest(t, "node_filesystem_size_bytes", metric.Label{Name: "mountpoint", Value: point}), float64(fs.Blocks)*float64(fs.Bsize); got != want {
			t.Errorf("size of %s: %v, statfs says %v", point, got, want)
		}
	}
	if broken := s.Select("node_filesystem_device_error"); slices.ContainsFunc(broken, func(one receiver.Series) bool { return one.Newest.Value != 0 && one.Live }) {
		t.Errorf("file systems that cannot be asked: %v", broken)
	}
	t.Logf("%d series; %d file systems, %d interfaces as the host has them", s.Stats().Series, len(points), len(hostInterfaces(t)))
}

// firstStart returns since when a counter of the host counts, in milliseconds.
func firstStart(s *farEnd) int64 {
	for _, one := range s.Select("node_cpu_seconds_total") {
		return one.Newest.Start
	}
	return 0
}

// checkRestart restarts the container while the receiver is down: neither the
// backlog nor the place in it is lost.
func checkRestart(t *testing.T, d *docker, name string, s *farEnd) {
	s.down.Store(true)
	refused := s.Stats().Refused
	eventually(t, 30*time.Second, "requests that fail", func() error {
		if n := s.Stats().Refused - refused; n < 5 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	began := time.Now()
	d.do(t, "restart", name)
	took := time.Since(began)
	s.down.Store(false)
	eventually(t, 60*time.Second, "samples from after the restart", func() error {
		newest, _ := s.Latest("node_load1")
		if age := time.UnixMilli(newest.Time).Sub(began.Add(took)); age < 3*time.Second {
			return fmt.Errorf("the newest is %s after it", age)
		}
		return nil
	})
	t.Logf("restart took %s", took.Round(time.Millisecond))
	s.whole(t, took+5*time.Second)
	if starts := len(s.Select("node_uname_info")); starts != 1 {
		t.Errorf("%d series of node_uname_info: instance has changed", starts)
	}
}
