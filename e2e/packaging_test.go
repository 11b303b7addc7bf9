package e2e

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"nodepush/metric"
)

const packageConfig = `
global: {scrape_interval: 1s, external_labels: {site: %s}}
remote_write:
- url: %s/api/v1/write
  queue_config: {batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 200ms}
wal: {dir: /var/lib/nodepush/wal}
`

// The package on a Debian with systemd: it installs, delivers under the unit
// with the host's true figures, reloads, is upgraded, removed and purged.
func TestPackage(t *testing.T) {
	t.Parallel()
	far := newFarEnd()
	server := httptest.NewServer(far)
	defer server.Close()
	m := bootDebian(t, startDocker(t))
	old, next := m.makePackage("v1.2.3"), m.makePackage("v1.2.3-4-gabcdef0")

	checkInstall(t, m, old)
	m.fill("/etc/nodepush/config.yaml", fmt.Sprintf(packageConfig, "one", server.URL))
	began := time.Now()
	m.run("systemctl", "enable", "--now", "nodepush") // returns at READY=1
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	checkUnit(t, m)
	checkProcess(t, m)
	checkMeasured(t, m, far)
	checkReload(t, m, far, server.URL)
	checkUpgrade(t, m, far, next)
	checkRemoval(t, m, next)
	checkPrepared(t, m, next, fmt.Sprintf(packageConfig, "three", server.URL))
}

// checkInstall installs the package, which must not start what cannot deliver.
func checkInstall(t *testing.T, m debian, file string) {
	began := time.Now()
	if out := m.run("dpkg", "-i", file); !strings.Contains(out, "no receiver yet") {
		t.Errorf("dpkg -i does not say what is to be done:\n%s", out)
	}
	t.Logf("installed in %s: %s", time.Since(began).Round(100*time.Millisecond), m.run("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}, ${Installed-Size} KiB", "nodepush"))
	m.want("disabled", "systemctl", "is-enabled", "nodepush")
	m.want("inactive", "systemctl", "is-active", "nodepush")
	m.want("", "systemctl", "--failed", "--plain", "--no-legend")
	m.want("root:root 755", "stat", "-c", "%U:%G %a", "/usr/bin/nodepush")
	m.want("root:root 644", "stat", "-c", "%U:%G %a", "/usr/lib/systemd/system/nodepush.service")
	m.want("root:nodepush 750", "stat", "-c", "%U:%G %a", "/etc/nodepush")
	m.want("root:nodepush 640", "stat", "-c", "%U:%G %a", "/etc/nodepush/config.yaml")
	m.want("root:root 644", "stat", "-c", "%U:%G %a", "/usr/share/doc/nodepush/copyright")
	m.want("/etc/nodepush/config.yaml", "sh", "-c", "dpkg-query -W -f '${Conffiles}' nodepush | cut -d' ' -f2 | grep .")
	m.want("", "dpkg", "--verify", "nodepush")
	if entry := m.run("getent", "passwd", "nodepush"); !strings.HasSuffix(entry, ":/var/lib/nodepush:/usr/sbin/nologin") {
		t.Errorf("user: %s", entry)
	}
	if out := m.run("nodepush", "--version"); !strings.HasPrefix(out, "nodepush v1.2.3 ") {
		t.Errorf("installed program: %s", out)
	}
}

// checkUnit asks systemd what it thinks of the unit.
func checkUnit(t *testing.T, m debian) {
	m.want("", "systemd-analyze", "verify", "nodepush.service")
	out := m.run("systemd-analyze", "security", "--no-pager", "--offline=true", "/usr/lib/systemd/system/nodepush.service")
	_, level, _ := strings.Cut(out, "Overall exposure level for nodepush.service: ")
	level, _, _ = strings.Cut(level, " ")
	if v, err := strconv.ParseFloat(level, 64); err != nil || v > 3 {
		t.Errorf("exposure %q, want at most 3.0:\n%s", level, out)
	}
	t.Logf("systemd-analyze security: %s", level)
	if got := m.unit("StatusText"); !strings.HasSuffix(got, ", every 1s; receivers: 1") {
		t.Errorf("unit: StatusText is %q", got)
	}
	for property, want := range map[string]string{
		"ActiveState": "active", "Type": "notify", "NRestarts": "0", "Restart": "on-failure", "StartLimitIntervalUSec": "0",
	} {
		if got := m.unit(property); got != want {
			t.Errorf("unit: %s is %q, want %q", property, got, want)
		}
	}
}

// checkProcess looks at the process itself.
func checkProcess(t *testing.T, m debian) {
	user := m.run("id", "-u", "nodepush")
	group := m.run("id", "-g", "nodepush")
	pid := m.pid()
	wantStatus(t, pid, map[string]string{
		"Uid": strings.Join([]string{user, user, user, user}, " "), "Gid": strings.Join([]string{group, group, group, group}, " "),
		"CapEff": twoCapabilities, "CapPrm": twoCapabilities, "CapBnd": twoCapabilities, "CapAmb": twoCapabilities,
		"NoNewPrivs": "1", "Seccomp": "2",
	})
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	if nice := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))[17]; nice != "10" {
		t.Errorf("nice %s, want 10", nice)
	}
	environment, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	limit := regexp.MustCompile(`GOMEMLIMIT=(\d+)MiB`).FindSubmatch(environment)
	if limit == nil {
		t.Fatalf("environment has no GOMEMLIMIT: %q", environment)
	}
	soft, _ := strconv.ParseInt(string(limit[1]), 10, 64)
	hard, _ := strconv.ParseInt(m.unit("MemoryMax"), 10, 64)
	if soft<<20 >= hard || soft == 0 {
		t.Errorf("GOMEMLIMIT %d MiB is not below MemoryMax %d", soft, hard)
	}
	m.want("nodepush:nodepush 750", "stat", "-c", "%U:%G %a", "/var/lib/nodepush")
	t.Logf("RSS %s, threads %s, limits %d MiB and %d bytes", status(t, pid)["VmRSS"], status(t, pid)["Threads"], soft, hard)
}

// checkMeasured compares file systems as the sandboxed agent shows them with
// what root sees outside: those of the start, and ones mounted later where the
// sandbox has mounts of its own.
func checkMeasured(t *testing.T, m debian, far *farEnd) {
	for _, dir := range []string{"/home/closed", "/tmp/closed", "/var/lib/closed", "/root/closed"} {
		m.run("sh", "-c", "mkdir -m 700 "+dir+" && mkdir "+dir+"/fs && mount -t tmpfs -o size=1m tmpfs "+dir+"/fs")
	}
	m.run("sh", "-c", "mkdir -p /srv/ro && mount -t tmpfs -o ro,size=2m tmpfs /srv/ro")
	eventually(t, 30*time.Second, "file systems as root sees them", func() error {
		for name, want := range m.filesystems(t) {
			labels := []metric.Label{{Name: "mountpoint", Value: name.point}}
			if got, ok := far.Latest(name.metric, labels...); !ok || got.Value != want {
				return fmt.Errorf("%s of %s: %v (%v), root sees %v", name.metric, name.point, got.Value, ok, want)
			}
		}
		return nil
	})
	for _, dir := range []string{"/home/closed", "/tmp/closed", "/var/lib/closed", "/root/closed"} {
		if got := far.latest(t, "node_filesystem_size_bytes", metric.Label{Name: "mountpoint", Value: dir + "/fs"}); got != 1<<20 {
			t.Errorf("size of %s/fs is %v", dir, got)
		}
	}
	t.Logf("%d file systems as root sees them: %v", len(far.label("node_filesystem_size_bytes", "mountpoint")), far.label("node_filesystem_size_bytes", "mountpoint"))
	if n := far.latest(t, "node_memory_MemTotal_bytes"); n != procNumber(t, "meminfo", "MemTotal:")*1024 {
		t.Errorf("MemTotal %v", n)
	}
	if got, want := fmt.Sprint(far.label("node_network_receive_bytes_total", "device")), fmt.Sprint(hostInterfaces(t)); got != want {
		t.Errorf("interfaces %s, want %s", got, want)
	}
	for _, one := range far.Select("node_scrape_collector_success") {
		if one.Newest.Value != 1 {
			t.Errorf("%v under the unit: %v", one, one.Newest.Value)
		}
	}
}

type fsFigure struct{ metric, point string }

// filesystems runs the agent as root and outside of the unit.
func (m debian) filesystems(t *testing.T) map[fsFigure]float64 {
	t.Helper()
	figures := make(map[fsFigure]float64)
	point := regexp.MustCompile(`mountpoint="([^"]*)"`)
	for name, value := range parseText(t, []byte(m.run("nodepush", "once", "--collectors=filesystem")+"\n")) {
		family, _, _ := strings.Cut(name, "{")
		at := point.FindStringSubmatch(name)
		switch family {
		case "node_filesystem_size_bytes", "node_filesystem_files", "node_filesystem_readonly", "node_filesystem_device_error":
			figures[fsFigure{family, at[1]}] = value
		}
	}
	if len(figures) < 4*5 {
		t.Fatalf("root sees only %v", figures)
	}
	return figures
}

// checkReload reloads a good file, and has a bad one refused.
func checkReload(t *testing.T, m debian, far *farEnd, url string) {
	pid := m.unit("MainPID")
	m.fill("/etc/nodepush/config.yaml", "nonsense: 1\n")
	if out, err := m.try("systemctl", "reload", "nodepush"); err == nil {
		t.Errorf("a broken file was reloaded: %s", out)
	}
	m.want("active", "systemctl", "is-active", "nodepush")
	m.fill("/etc/nodepush/config.yaml", fmt.Sprintf(packageConfig, "two", url))
	m.run("systemctl", "reload", "nodepush")
	eventually(t, 20*time.Second, "samples with the label of the new file", func() error {
		if n := len(far.Select("node_load1", metric.Label{Name: "site", Value: "two"})); n != 1 {
			return fmt.Errorf("%d series", n)
		}
		return nil
	})
	if got := m.unit("MainPID"); got != pid {
		t.Errorf("reloads ended process %s; now it is %s", pid, got)
	}
}

// checkUpgrade installs a newer version over the running one.
func checkUpgrade(t *testing.T, m debian, far *farEnd, file string) {
	before, pid := m.run("cat", "/etc/nodepush/config.yaml"), m.unit("MainPID")
	began := time.Now()
	m.run("dpkg", "-i", file)
	took := time.Since(began)
	m.want(before, "cat", "/etc/nodepush/config.yaml")
	m.want("root:nodepush 640", "stat", "-c", "%U:%G %a", "/etc/nodepush/config.yaml")
	m.want("enabled", "systemctl", "is-enabled", "nodepush")
	m.want("active", "systemctl", "is-active", "nodepush")
	m.want("1.2.3+4.gabcdef0", "dpkg-query", "-W", "-f", "${Version}", "nodepush")
	if got := m.unit("MainPID"); got == pid {
		t.Error("the old program still runs")
	}
	two := func() int { return len(far.Select("node_load1", metric.Label{Name: "site", Value: "two"})[0].Samples) }
	stored := two()
	eventually(t, 20*time.Second, "samples after the upgrade", func() error {
		if n := two() - stored; n < 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	far.whole(t, took+5*time.Second, metric.Label{Name: "site", Value: "two"})
	t.Logf("upgraded in %s", took.Round(100*time.Millisecond))
}

// checkRemoval removes the package, brings it back, and purges it.
func checkRemoval(t *testing.T, m debian, file string) {
	m.run("dpkg", "-r", "nodepush")
	m.want("inactive", "systemctl", "is-active", "nodepush")
	m.want("", "sh", "-c", "ls /usr/bin/nodepush /usr/lib/systemd/system/nodepush.service 2>/dev/null")
	m.want("root:nodepush 640", "stat", "-c", "%U:%G %a", "/etc/nodepush/config.yaml")
	if segments := m.run("sh", "-c", "ls /var/lib/nodepush/wal | wc -l"); segments == "0" {
		t.Error("removal took the state")
	}
	m.run("dpkg", "-i", file)
	m.want("active", "systemctl", "is-active", "nodepush")
	m.run("dpkg", "-P", "nodepush")
	m.want("", "sh", "-c", "ls -d /etc/nodepush /var/lib/nodepush /etc/systemd/system/*/nodepush.service 2>/dev/null; find / -xdev -user nodepush; dpkg-query -L nodepush 2>/dev/null")
	if entry := m.run("getent", "passwd", "nodepush"); entry == "" {
		t.Error("purge took the user")
	}
	m.want("", "systemctl", "--failed", "--plain", "--no-legend")
}

// checkPrepared installs the package where its configuration has been put
// before: then the service starts by itself, and keeps doing so after a boot.
func checkPrepared(t *testing.T, m debian, file, config string) {
	m.run("mkdir", "/etc/nodepush")
	m.fill("/etc/nodepush/config.yaml", config)
	m.run("dpkg", "--force-confold", "-i", file)
	m.want(strings.TrimSpace(config), "cat", "/etc/nodepush/config.yaml")
	m.want("enabled", "systemctl", "is-enabled", "nodepush")
	m.want("active", "systemctl", "is-active", "nodepush")
	m.run("dpkg", "-P", "nodepush")
	m.want("", "sh", "-c", "ls -d /etc/nodepush /var/lib/nodepush /etc/systemd/system/*/nodepush.service 2>/dev/null")
}
