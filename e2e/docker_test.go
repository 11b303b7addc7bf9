package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// docker is a Docker daemon of the test's own.
type docker struct {
	*process
	socket string
}

// client is the one of the daemon's package: other ones on the machine may lack a builder.
const client = "/usr/bin/docker"

// startDocker starts Debian's daemon. It lives in a mount namespace whose root
// is shared, as systemd has it: rslave needs that. Its containers have the
// host's network or none.
func startDocker(t *testing.T) *docker {
	t.Helper()
	need(t, "dockerd", "docker.io")
	dir, err := os.MkdirTemp("", "dockerd") // not TempDir: the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &docker{socket: "unix://" + dir + "/socket"}
	d.process = start(t, need(t, "unshare", "util-linux"), "--mount", "--propagation=shared", "dockerd",
		"--host="+d.socket, "--data-root="+filepath.Join(dir, "data"), "--exec-root="+filepath.Join(dir, "exec"),
		"--pidfile="+filepath.Join(dir, "pid"), "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false")
	t.Cleanup(func() { d.stop(t, syscall.SIGTERM, 30*time.Second) }) // with containers and containerd
	eventually(t, 60*time.Second, "dockerd answers", func() error { return d.command("version").Run() })
	return d
}

func (d *docker) command(args ...string) *exec.Cmd {
	return exec.Command(client, append([]string{"--host=" + d.socket}, args...)...)
}

// do runs the client and returns what it printed.
func (d *docker) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// makeTarget runs a target of the Makefile with an environment of the given settings.
func makeTarget(t *testing.T, settings []string, args ...string) {
	t.Helper()
	c := exec.Command("make", append([]string{"-C", ".."}, args...)...)
	c.Env = append(os.Environ(), settings...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
