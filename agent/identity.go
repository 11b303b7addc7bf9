package agent

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"nodepush/collector"
	"nodepush/metric"
)

// host is what stays the same on a machine while the agent runs: read once,
// so that no label and no start time flips.
type host struct {
	name      string // uname(2) nodename
	machineID string // machine-id(5); "" when the machine has none
	bootID    [16]byte
	boot      int64 // milliseconds since the epoch; 0: unknown
}

// readHost reads what there is; what is missing is logged and left zero.
func readHost(p collector.Paths, log *slog.Logger) host {
	var h host
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		h.name = unix.ByteSliceToString(u.Nodename[:])
	}
	id, err := machineID(p.Rootfs)
	if err != nil {
		log.Debug("no machine id", "err", err)
	}
	h.machineID = id
	if h.bootID, err = readBootID(filepath.Join(p.Procfs, "sys/kernel/random/boot_id")); err != nil {
		log.Warn("read boot id; samples of different boots will look like one", "err", err)
	}
	if h.boot, err = readBootTime(filepath.Join(p.Procfs, "stat")); err != nil {
		log.Warn("read boot time; counters go without a start time", "err", err)
	}
	return h
}

// readBootID reads a UUID, which the kernel makes anew at each boot.
func readBootID(file string) (id [16]byte, err error) {
	text, err := readSmall(file)
	if err != nil {
		return id, err
	}
	digits := strings.ReplaceAll(strings.TrimSpace(string(text)), "-", "")
	if n, err := hex.Decode(id[:], []byte(digits[:min(len(digits), 32)])); err != nil || n != len(id) || len(digits) != 32 {
		return [16]byte{}, fmt.Errorf("read %s: %.50q is no UUID", file, text)
	}
	return id, nil
}

// readBootTime reads the line "btime SECONDS" of /proc/stat, in milliseconds.
func readBootTime(file string) (int64, error) {
	text, err := readSmall(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		key, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key != "btime" {
			continue
		}
		s, err := strconv.ParseUint(digits, 10, 40) // 40 bits leave room for milliseconds
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		return int64(s) * 1000, nil
	}
	return 0, fmt.Errorf("read %s: no line btime", file)
}

// splay is the host's own place within every interval.
func (h host) splay(instance string, interval time.Duration) time.Duration {
	f := fnv.New64a()
	f.Write([]byte(instance + "\x00" + h.machineID))
	return time.Duration(f.Sum64() % uint64(interval))
}

// instanceFile keeps the instance label in the state directory.
const instanceFile = "instance"

// instance returns the value of the label instance: the configured one, or the
// host name as it was when the agent first ran with this state directory. A
// host name that cannot tell machines apart gives way to the machine id. A
// state directory that cannot be used costs only the memory of it.
func (h host) instance(configured, state string, log *slog.Logger) string {
	if configured != "" {
		return configured
	}
	file := filepath.Join(state, instanceFile)
	kept, err := readSmall(file)
	if name := strings.TrimSuffix(string(kept), "\n"); err == nil && usable(name) {
		if name != h.name && usable(h.name) {
			log.Info("instance is the name kept from the first start, not today's host name", "instance", name, "hostname", h.name, "file", file)
		}
		return name
	}
	if err == nil {
		log.Warn("instance file holds no usable name; it is written anew", "file", file, "text", fmt.Sprintf("%.100q", kept))
	} else if !errors.Is(err, fs.ErrNotExist) {
		log.Warn("read instance", "err", err)
	}
	name := h.newInstance(log)
	if err := replaceFile(file, []byte(name+"\n")); err != nil {
		log.Warn("keep instance; it may change with the next start", "instance", name, "err", err)
	}
	return name
}

// bootFile keeps the boot time in the state directory.
const bootFile = "boot"

// latch makes the boot time of this boot the one that was seen first. The
// kernel derives it from the clock, so that it moves when the clock is set;
// but the start time of a counter that changes means that it began anew.
func (h *host) latch(state string, log *slog.Logger) {
	if h.boot == 0 || h.bootID == [16]byte{} {
		return
	}
	file, id := filepath.Join(state, bootFile), hex.EncodeToString(h.bootID[:])
	kept, err := readSmall(file)
	if err == nil {
		of, digits, _ := strings.Cut(strings.TrimSpace(string(kept)), " ")
		if boot, err := strconv.ParseInt(digits, 10, 64); err == nil && boot > 0 && of == id {
			h.boot = boot
			return
		}
	}
	if err := replaceFile(file, fmt.Appendf(nil, "%s %d\n", id, h.boot)); err != nil {
		log.Warn("keep boot time; start times of counters may change with the next start", "err", err)
	}
}

// newInstance chooses a name for a machine that has none yet.
func (h host) newInstance(log *slog.Logger) string {
	name, _, _ := strings.Cut(h.name, ".")
	if usable(h.name) && name != "localhost" {
		return h.name
	}
	id := cmp.Or(h.machineID, strings.ToLower(rand.Text()))
	log.Warn("host name cannot tell machines apart; the machine id is the instance label (global.instance sets another)", "hostname", h.name, "instance", id)
	return id
}

// usable says that name can be a label value that people read.
func usable(name string) bool {
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && name == strings.TrimSpace(name) &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// replaceFile writes a file so that a crash leaves the old or the new one.
func replaceFile(file string, data []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(file)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name())
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sourceLabels are the labels of all series of a source: job and instance,
// then the external labels that are neither, as in Prometheus.
func sourceLabels(job, instance string, external []metric.Label) []metric.Label {
	labels := []metric.Label{{Name: "job", Value: job}, {Name: "instance", Value: instance}}
	for _, l := range external {
		if l.Name != "job" && l.Name != "instance" {
			labels = append(labels, l)
		}
	}
	slices.SortFunc(labels, func(a, b metric.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}
