// Package e2e starts the real programs: nodepush built from this tree, Debian's
// Prometheus, node_exporter and vmagent. What is missing it installs with
// apt-get and says so; it never skips.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is nodepush, built once for all tests by `make build` with version.
var binary string

const version = "9.9.9-e2e"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nodepush-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "nodepush")
	build := exec.Command("make", "-C", "..", "build", "BINARY="+binary, "VERSION="+version)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build nodepush: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

var installing sync.Mutex

// need makes sure that program is installed, from Debian's package pkg if it is not.
func need(t testing.TB, program, pkg string) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	fmt.Fprintf(os.Stderr, "e2e: %s is missing: apt-get install %s\n", program, pkg)
	apt := exec.Command("apt-get", "install", "-y", "--no-install-recommends", pkg)
	apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := apt.CombinedOutput()
	if err != nil {
		exec.Command("apt-get", "update").Run()
		again := exec.Command("apt-get", "install", "-y", "--no-install-recommends", pkg)
		again.Env = apt.Env
		out, err = again.CombinedOutput()
	}
	if err != nil {
		t.Fatalf("install Debian's %s, which this test needs (as root, with a package index): %v\n%s", pkg, err, out)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("package %s is installed but has no %s", pkg, program)
	}
	return path
}

// process is a program under test.
type process struct {
	*exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
	err  error
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// output returns what the program has printed so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs a program until the test ends; its output is shown if the test fails.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.Stdout, p.Stderr = p, p
	if err := p.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { p.err = p.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.done
		if t.Failed() {
			out := p.output()
			t.Logf("%s %s:\n%s", filepath.Base(name), strings.Join(args, " "), out[max(0, len(out)-8000):])
		}
	})
	return p
}

// stop ends the program with sig and waits for it.
func (p *process) stop(t testing.TB, sig os.Signal, within time.Duration) {
	t.Helper()
	p.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s is still running %s after %s", p.Path, within, sig)
	}
}

// freePort returns a loopback address nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually polls until f returns nil; after the limit it fails with f's last error.
func eventually(t testing.TB, limit time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ready waits until url answers 200.
func ready(t testing.TB, url string) {
	t.Helper()
	eventually(t, 30*time.Second, url, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", res.Status)
		}
		return nil
	})
}

// write puts text into a file of the test.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
