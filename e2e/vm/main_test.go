//go:build vm

// Package vm boots a Debian of its own in qemu and tests the installed package
// in it: systemd, cgroup v2, power cuts, wrong clocks, full disks.
//
//	recipe.sh ──▶ base: kernel, initrd, disk ──▶ installed: base + the fresh .deb ──▶ a copy for each machine
//	                                                                                  │ console, to a file
//	test ◀── JSON lines over virtio-serial: scripts and results, frames, collections ─┴─▶ guest program, in /vm
//
// A machine runs scripts one by one, each as a unit of systemd; machine.test
// makes subtests of them. `make test-vm` runs all of it.
package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Where things are; set by TestMain.
var (
	base  string // folder of recipe.sh
	bring string // the disk image mounted as /vm
	work  string // folder of this run
)

const version = "9.9.9"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	base = os.Getenv("NODEPUSH_VM")
	if _, err := os.Stat(filepath.Join(base, "disk.raw")); err != nil {
		fmt.Fprintf(os.Stderr, "NODEPUSH_VM does not name the folder that `make vm` makes: %v; use `make test-vm`\n", err)
		return 1
	}
	var err error
	if work, err = os.MkdirTemp("", "nodepush-vm"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	if err := pack(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// pack makes what goes into the machines: the package of this tree and the
// guest program.
func pack() error {
	into := filepath.Join(work, "bring")
	if err := os.Mkdir(into, 0o755); err != nil {
		return err
	}
	bring = filepath.Join(work, "bring.raw")
	for _, c := range []*exec.Cmd{
		exec.Command("make", "-C", "../..", "deb", "VERSION="+version, "DIST="+into),
		exec.Command("go", "build", "-tags", "vm", "-o", filepath.Join(into, "guest"), "./guest"),
		exec.Command("mke2fs", "-q", "-t", "ext4", "-d", into, bring, "96M"),
	} {
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", c.Args, err, out)
		}
	}
	return nil
}

// config is the agent's. The receiver is the one in the guest program.
const config = `
global: {scrape_interval: 1s, external_labels: {site: one}}
remote_write:
- url: http://127.0.0.1:9201/api/v1/write
  queue_config: {batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 500ms}
wal: {dir: /var/lib/nodepush/wal, sync_interval: 2s}
`

var installing sync.Mutex

// installed returns the disk of a machine that has the package, configured and
// enabled, and was shut down in order. Copies of it begin every test.
func installed(t *testing.T) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	file := filepath.Join(work, "installed.qcow2")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	changing := disk(t, filepath.Join(base, "disk.raw"))
	m := boot(t, hardware{disk: changing})
	m.run("dpkg -i /vm/nodepush_*.deb")
	m.run("cat > /etc/nodepush/config.yaml <<'E'\n" + config + "E\nsystemctl enable nodepush")
	m.off()
	if err := os.Rename(changing, file); err != nil {
		t.Fatal(err)
	}
	t.Logf("installed in %s", since(m.booted))
	return file
}
