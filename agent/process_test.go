package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// beMain makes the test binary nodepush itself, so that tests run it as a
// process of its own.
const beMain = "NODEPUSH_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// nodepush prepares a process. It is killed when the test ends.
func nodepush(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{os.Args[0]}, args...)
	if emulator := os.Getenv("NODEPUSH_TEST_EMULATOR"); emulator != "" { // make test-cross: the kernel cannot start the binary by itself
		args = append([]string{emulator}, args...)
	}
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Env = append(os.Environ(), beMain+"=1")
	return c
}

// run runs nodepush to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := nodepush(t, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/good.yaml", "remote_write:\n- url: http://127.0.0.1:1/api/v1/write\n")
	write(t, dir+"/bad.yaml", "global:\n  scrape_intervall: 15s\nremote_write:\n- url: nonsense\n")
	for _, c := range []struct {
		name   string
		args   string
		code   int
		stdout string // a regular expression
		stderr string
	}{
		{"version", "--version", 0, `^nodepush \S+ \(revision \S+, built \S+, go1\.\S+ linux/\w+\)\n$`, `^$`},
		{"help", "--help", 0, `(?s)^usage: nodepush .*run --config.file=FILE.*check.*once.*demo`, `^$`},
		{"help of a command", "once --help", 0, `--collectors=NAME`, `^$`},
		{"nothing", "", 2, `^$`, `a command is missing: run, check, once or demo`},
		{"flags only", "--log.level=debug", 2, `^$`, `a command is missing`},
		{"unknown command", "fly", 2, `^$`, `"fly"; try --help`},
		{"unknown flag", "once --color", 2, `^$`, `--color.*try --help`},
		{"level", "--log.level=loud once", 2, `^$`, `debug,info,warn,error, got 'loud'`},
		{"format", "--log.format=xml once", 2, `^$`, `logfmt,json, got 'xml'`},
		{"run without a file", "run", 2, `^$`, `--config.file`},
		{"run with a missing file", "run --config.file=DIR/none.yaml", 1, `^$`, `none.yaml: .*no such file`},
		{"run with a broken file", "run --config.file=DIR/bad.yaml", 1, `^$`, `(?s)bad.yaml:2: .*scrape_intervall.*bad.yaml:4: .*url.*has 2 problems`},
		{"check", "check --config.file=DIR/good.yaml", 0, `^DIR/good.yaml: ok\n$`, `^$`},
		{"check of a broken file", "check --config.file=DIR/bad.yaml", 1, `^$`, `(?s)^DIR/bad.yaml:2: .*\nDIR/bad.yaml:4: .*\nnodepush: the configuration has 2 problems\n$`},
		{"once", "once --collectors=loadavg", 0, `(?m)^node_load1 [0-9.]+$`, `^$`},
		{"once with a file", "once --config.file=DIR/good.yaml --collectors=uname,loadavg", 0, `(?s)node_load1 .*node_uname_info\{`, `^$`},
		{"unknown collectors", "once --collectors=cpu,gpu,tpu", 1, `^$`, `no such collector: "gpu", "tpu"; there are cpu, .*loadavg`},
		{"collector fails", "--path.procfs=DIR/proc once --collectors=loadavg,uname", 1, `node_uname_info\{`, `^nodepush: collector loadavg: `},
		{"demo for a word", "demo --for=long", 2, `^$`, `long`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			write(t, dir+"/proc/loadavg", "no numbers\n")
			fill := strings.NewReplacer("DIR", dir)
			stdout, stderr, code := run(t, strings.Fields(fill.Replace(c.args))...)
			if code != c.code {
				t.Errorf("exit status %d, want %d", code, c.code)
			}
			for _, s := range []struct{ name, got, want string }{{"stdout", stdout, c.stdout}, {"stderr", stderr, c.stderr}} {
				if want := regexp.MustCompile(fill.Replace(s.want)); !want.MatchString(s.got) {
					t.Errorf("%s is\n%s\nwant a match of %s", s.name, s.got, want)
				}
			}
		})
	}
}

// The output of once is what Prometheus' own tool reads, families in order and
// each described once.
func TestOnceIsReadable(t *testing.T) {
	stdout, stderr, code := run(t, "once")
	if code != 0 {
		t.Fatalf("exit status %d: %s", code, stderr)
	}
	last := ""
	for line := range strings.Lines(stdout) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if name <= last {
				t.Errorf("%q after %q", name, last)
			}
			last = name
		}
	}
}

// once | head
func TestOnceClosedEarly(t *testing.T) {
	c := nodepush(t, "once")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := c.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
}

// The demo shows samples that arrived, ends by itself or with Ctrl-C, and
// loses nothing and leaves nothing.
func TestDemo(t *testing.T) {
	line := regexp.MustCompile(`(?m)^ +(\d+) +(\d+) +(\d+) +(\d+) +([\d.]+) +(-?[\d.]+) +([\d.]+|-) +([\d.]+) +([\d.]+)$`)
	sum := regexp.MustCompile(`(?m)^(\d+) rounds: (\d+) samples collected, (\d+) stored by the receiver in (\d+) requests, 0 requests refused; [\d.]+ B/sample on the wire, [\d.]+ in the log`)
	for _, c := range []struct {
		name string
		args []string
		stop os.Signal
	}{{"for 4 s", []string{"demo", "--for=4s"}, nil}, {"Ctrl-C", []string{"demo"}, os.Interrupt}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := nodepush(t, c.args...)
			tmp := t.TempDir()
			p.Env = append(p.Env, "TMPDIR="+tmp)
			out, stderr := startReading(t, p)
			start := time.Now()
			var text strings.Builder
			for lines := bufio.NewScanner(out); lines.Scan(); {
				fmt.Fprintln(&text, lines.Text())
				m := line.FindStringSubmatch(lines.Text())
				if m != nil && m[2] != "0" && c.stop != nil {
					if took := time.Since(start); took > 5*time.Second {
						t.Errorf("the first samples took %v", took)
					}
					p.Process.Signal(c.stop)
				}
			}
			if err := p.Wait(); err != nil || stderr.Len() > 0 {
				t.Errorf("%v, stderr %s", err, stderr)
			}
			if n := len(line.FindAllString(text.String(), -1)); n < 1 {
				t.Errorf("no line of figures in\n%s", text.String())
			}
			m := sum.FindStringSubmatch(text.String())
			if m == nil || m[2] != m[3] || m[2] == "0" {
				t.Errorf("summary %q of\n%s", m, text.String())
			}
			if left, _ := filepath.Glob(tmp + "/*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// startReading starts p and returns its stdout; stderr may be read after it ended.
func startReading(t *testing.T, p *exec.Cmd) (io.Reader, *bytes.Buffer) {
	t.Helper()
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	p.Stderr = &stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return out, &stderr
}
