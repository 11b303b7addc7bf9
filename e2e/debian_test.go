package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debian is a container that runs Debian's systemd as process 1, made of
// nothing but what debootstrap brings.
type debian struct {
	*docker
	t *testing.T
}

const machine = "debian"

// bootDebian installs Debian and boots it. The container has the capabilities
// a systemd needs, the host's network to reach the receiver, and may neither
// set the clock nor load modules.
func bootDebian(t *testing.T, d *docker) debian {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	began := time.Now()
	out, err := exec.Command(need(t, "debootstrap", "debootstrap"), "--variant=minbase", "--include=systemd-sysv,adduser", "bookworm", root).CombinedOutput()
	if err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out[max(0, len(out)-2000):])
	}
	pack := exec.Command("tar", "--directory="+root, "--create", ".")
	load := d.command("import", "-", "debian")
	read, err := pack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	load.Stdin = read
	if err := pack.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	if err := pack.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("Debian in %s", time.Since(began).Round(time.Second))
	d.do(t, "run", "--detach", "--name="+machine, "--network=host", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
		"--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cap-drop=SYS_TIME", "--cap-drop=SYS_MODULE", "--cap-drop=SYS_BOOT",
		"--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
		"--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--env=container=docker", "debian", "/sbin/init")
	m := debian{d, t}
	eventually(t, 60*time.Second, "Debian is up", func() error {
		if state, _ := m.try("systemctl", "is-system-running"); state != "running" {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
	m.run("mount", "--make-rshared", "/") // as on a machine; systemd leaves it to a container's manager
	return m
}

// try runs a command in the container.
func (m debian) try(args ...string) (string, error) {
	out, err := m.command(append([]string{"exec", machine}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (m debian) run(args ...string) string {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		journal, _ := m.try("journalctl", "--no-pager", "--lines=40", "--unit=nodepush")
		m.t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, out, journal)
	}
	return out
}

// fill writes a file in place, as an editor would: owner and mode stay.
func (m debian) fill(path, text string) {
	m.t.Helper()
	c := m.command("exec", "--interactive", machine, "sh", "-c", "cat > "+path)
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// want runs a command and compares what it prints.
func (m debian) want(want string, args ...string) {
	m.t.Helper()
	if got, _ := m.try(args...); got != want {
		m.t.Errorf("%s says %q, want %q", strings.Join(args, " "), got, want)
	}
}

// unit returns a property of the service.
func (m debian) unit(property string) string {
	m.t.Helper()
	return m.run("systemctl", "show", "--value", "--property="+property, "nodepush")
}

// pid returns the agent's process number as this test sees it.
func (m debian) pid() string {
	m.t.Helper()
	inside := m.unit("MainPID")
	for line := range strings.Lines(m.do(m.t, "top", machine, "-eo", "pid,comm")) {
		pid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.TrimSpace(name) != "nodepush" {
			continue
		}
		if numbers := strings.Fields(status(m.t, pid)["NSpid"]); numbers[len(numbers)-1] == inside {
			return pid
		}
	}
	m.t.Fatalf("no process nodepush with number %s in the container", inside)
	return ""
}

// makePackage builds the .deb of a version and puts it into the container.
func (m debian) makePackage(version string) (file string) {
	m.t.Helper()
	dir := m.t.TempDir()
	began := time.Now()
	makeTarget(m.t, nil, "deb", "VERSION="+version, "DIST="+dir)
	found, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(found) != 1 {
		m.t.Fatalf("make deb made %v", found)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Logf("%s: %d bytes, made in %s", filepath.Base(found[0]), info.Size(), time.Since(began).Round(100*time.Millisecond))
	m.do(m.t, "cp", found[0], machine+":/root/")
	return "/root/" + filepath.Base(found[0])
}
