package view

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"nodepush/receiver"
)

var update = flag.Bool("update", false, "rewrite golden files")

// exampleSnapshot is a busy host with something wrong in every corner.
func exampleSnapshot() snapshot {
	nan := math.NaN()
	s := snapshot{
		host: "edge-7", uptime: 3*86400 + 4*3600, load: [3]float64{2.5, 1.25, nan},
		delivery: delivery{
			address: "127.0.0.1:4711", protocol: "remote write 2.0", requests: 1234, refused: 2, refusal: "label \x1b[31mb is not in order",
			answers: []answer{{"204", 1200}, {"503", 2}, {"204", 32}}, rounds: 1232, samples: 1_234_567, series: 1002,
			perSecond: 1002, wire: 10.256, age: 0.44, log: 300 << 10,
		},
		agent:  process{0.0123, 19.5 * (1 << 20)},
		cpus:   []cpuUse{{"0", []float64{0.5, 0.1, 0.2, 0, 0.05, 0, 0.05}}, {"1", []float64{0, 0, 0, 0, 0, 0, 0}}, {"2", nil}, {"10", []float64{0.25, 0, 0.25, 0, 0, 0.5, 0}}},
		memory: memoryUse{total: 8 << 30, available: 6 << 30, free: 1 << 30},
		swap:   memoryUse{total: 1 << 30, available: 1 << 29, free: 1 << 29},
		filesystems: []filesystemUse{
			{mountpoint: "/var", size: 100 << 30, free: 5 << 30, avail: 5 << 30},
			{mountpoint: "/", size: 40 << 30, free: 30 << 30, avail: 30 << 30},
			{mountpoint: "/mnt/日本語/\x1b]0;title\a" + strings.Repeat("long", 10), size: 1 << 20, free: 1 << 20, avail: 1 << 20, readOnly: true},
			{mountpoint: "/nfs", size: nan, free: nan, avail: nan, problem: "mountpoint timeout"},
		},
		disks:      []diskUse{{"nvme0n1", 120 << 20, 3 << 20, 812, 0.87}, {"sda", 0, 512, 1, 0.004}, {"sdb", nan, nan, nan, nan}},
		interfaces: []interfaceUse{{"eth0", 12 << 20, 1 << 20, 9000, 0}, {"wlan0\nx", 100, 200, 3, 1.4}, {"lo", 0, 0, 0, 0}},
	}
	return s
}

func TestGolden(t *testing.T) {
	late := exampleSnapshot()
	nothing := newObserver(Options{Receiver: receiver.New(receiver.Options{}), Dir: t.TempDir()}).snapshot(time.Now())
	late.delivery.age, late.message = 75, `level=WARN msg="sending failed" err="503"`
	for name, s := range map[string]snapshot{"busy": exampleSnapshot(), "late": late, "nothing": nothing} {
		for _, size := range [][2]int{{40, 10}, {80, 24}, {100, 30}, {200, 50}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				var b strings.Builder
				for _, l := range draw(s, size[0], size[1]) {
					fmt.Fprintln(&b, l)
				}
				file := filepath.Join("testdata", filepath.Base(t.Name())+".txt")
				if *update {
					if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if b.String() != string(want) {
					t.Errorf("the frame is\n%swant\n%s", b.String(), want)
				}
			})
		}
	}
}

// The most important things are there at every size that a terminal has, the
// whole frame fits, and nothing in it moves the cursor.
func TestFitsEverySize(t *testing.T) {
	for _, width := range []int{0, 1, 2, 3, 5, 8, 9, 13, 21, 30, 39, 40, 41, 60, 79, 80, 81, 99, 100, 101, 130, 200} {
		for _, height := range []int{0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 15, 19, 20, 21, 24, 30, 50} {
			checkFrame(t, exampleSnapshot(), width, height)
			checkFrame(t, snapshot{}, width, height)
			if width < 40 || height < 10 {
				continue
			}
			all := fmt.Sprint(draw(exampleSnapshot(), width, height))
			for _, want := range []string{"edge-7", "0.4s old", "cpu ", "mem ", "nvme0n1", "eth0", "/var"} {
				if !strings.Contains(all, want) {
					t.Fatalf("%dx%d has no %s:\n%s", width, height, want, all)
				}
			}
		}
	}
}

func checkFrame(t *testing.T, s snapshot, width, height int) {
	t.Helper()
	frame := draw(s, width, height)
	if len(frame) != height && width > 0 {
		t.Fatalf("%dx%d: %d lines", width, height, len(frame))
	}
	for _, l := range frame {
		if l.width() != width || strings.ContainsFunc(l.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%dx%d: line of %d columns %q", width, height, l.width(), l)
		}
	}
	plain := frameText(frame, width, false)
	for _, known := range []string{"\x1b[H", "\x1b[K", "\r\n"} {
		plain = strings.ReplaceAll(plain, known, "")
	}
	if strings.ContainsFunc(plain, unicode.IsControl) {
		t.Fatalf("%dx%d without colour has %q", width, height, plain)
	}
}

func FuzzDraw(f *testing.F) {
	f.Add("sda", "/mnt\x1b[2J", 0.5, 80, 24)
	f.Add("\u202eevil\u0301", "\xff\x9b31m", math.Inf(-1), 1, 1)
	f.Add("🦊🦊🦊🦊🦊🦊🦊", "日本", 1e308, 41, 11)
	f.Fuzz(func(t *testing.T, a, b string, v float64, width, height int) {
		if width < 0 || height < 0 || width > 300 || height > 100 {
			return
		}
		s := exampleSnapshot()
		s.host, s.message, s.delivery.refusal, s.delivery.answers[0].code = a, b, a, b
		s.disks = append(s.disks, diskUse{a, v, -v, v, v})
		s.interfaces[0] = interfaceUse{b, v, v, v, v}
		s.filesystems = append(s.filesystems, filesystemUse{a, v, 1, 2, true, ""}, filesystemUse{b, 1, v, v, false, a})
		s.cpus = append(s.cpus, cpuUse{b, []float64{v, v, -v, v, v, 1, v}})
		s.memory, s.uptime, s.load[0], s.agent = memoryUse{v, 1, v}, v, v, process{v, v}
		s.delivery.age, s.delivery.perSecond, s.delivery.wire = v, v, v
		checkFrame(t, s, width, height)
	})
}
