//go:build vm

package vm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The agent as the package installs it, on a machine with systemd and cgroup v2.
func TestService(t *testing.T) {
	t.Parallel()
	m := boot(t, hardware{disk: disk(t, installed(t))})
	m.do("Receiver", "up")
	m.eventually("systemctl --quiet is-active nodepush")
	t.Logf("active %s after power on, %d ms of the guest's clock", since(m.booted), m.do("Tally", true).Boot)
	m.test("unit", func(t *testing.T) { checkUnit(t, m) })
	m.test("process", func(t *testing.T) { checkProcess(t, m) })
	m.test("security", func(t *testing.T) { checkSecurity(t, m) })
	m.test("delivers", func(t *testing.T) { checkDelivery(t, m) })
	m.test("once", func(t *testing.T) { checkOnce(t, m) })
	m.test("reload", func(t *testing.T) { checkReload(t, m) })
	m.test("kill", func(t *testing.T) { checkKill(t, m) })
	m.test("memory limit", func(t *testing.T) { checkMemoryLimit(t, m) })
	m.test("containers", func(t *testing.T) { checkContainers(t, m) })
	m.test("whole", func(t *testing.T) { checkWhole(t, m) })
	m.off()
}

// unit returns a property of the service.
func (m *machine) unit(property string) string {
	m.t.Helper()
	return m.run("systemctl show --value --property=" + property + " nodepush")
}

// checkUnit asks systemd.
func checkUnit(t *testing.T, m *machine) {
	for property, want := range map[string]string{
		"ActiveState": "active", "SubState": "running", "Type": "notify", "User": "nodepush", "NRestarts": "0", "MemoryMax": "201326592",
	} {
		if got := m.unit(property); got != want {
			t.Errorf("%s is %q, want %q", property, got, want)
		}
	}
	if got := m.unit("StatusText"); !strings.HasSuffix(got, ", every 1s; receivers: 1") {
		t.Errorf("StatusText is %q", got)
	}
	m.want("cgroup2fs", "stat -f -c %T /sys/fs/cgroup")
	m.want("", "systemctl --failed --plain --no-legend")
	m.want("", "systemd-analyze verify nodepush.service 2>&1 | grep nodepush")
	t.Log(m.run("nodepush --version | head -n1; uname -r; systemctl --version | head -n1"))
}

// checkProcess looks at the process itself.
func checkProcess(t *testing.T, m *machine) {
	user, group := m.run("id -u nodepush"), m.run("id -g nodepush")
	status := make(map[string]string)
	for line := range strings.Lines(m.run("cat /proc/$(systemctl show --value --property=MainPID nodepush)/status")) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.Join(strings.Fields(value), " ")
	}
	const capabilities = "0000000000080004" // CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE
	for key, want := range map[string]string{
		"Uid": strings.Join([]string{user, user, user, user}, " "), "Gid": strings.Join([]string{group, group, group, group}, " "),
		"CapEff": capabilities, "CapPrm": capabilities, "CapBnd": capabilities, "CapAmb": capabilities, "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if status[key] != want {
			t.Errorf("%s is %q, want %q", key, status[key], want)
		}
	}
	if user == "0" {
		t.Error("the agent is root")
	}
	t.Logf("RSS %s, threads %s", status["VmRSS"], status["Threads"])
}

// checkSecurity wants systemd's own judgement of the unit.
func checkSecurity(t *testing.T, m *machine) {
	out := m.run("systemd-analyze security --no-pager nodepush.service")
	_, level, _ := strings.Cut(out, "Overall exposure level for nodepush.service: ")
	level, _, _ = strings.Cut(level, " ")
	if v, err := strconv.ParseFloat(level, 64); err != nil || v > 3 {
		t.Errorf("exposure %q, want at most 3.0:\n%s", level, out)
	}
	t.Logf("systemd-analyze security: exposure %s", level)
}

// checkDelivery waits for some collections to arrive.
func checkDelivery(t *testing.T, m *machine) {
	events := m.awaitStored(5)
	first, last := events[0], events[len(events)-1]
	t.Logf("%d collections in %d ms", len(events), last.Wall-first.Wall)
	for metric, want := range map[string]float64{"node_memory_MemTotal_bytes": memTotal(t, m), "nodepush_wal_on_disk": 1} {
		for name, got := range m.do("Select", metric).Series {
			if got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	if series := m.do("Select", "node_scrape_collector_success").Series; len(series) < 8 {
		t.Errorf("only %v", series)
	} else {
		for name, got := range series {
			if got != 1 {
				t.Errorf("%s is %v", name, got)
			}
		}
	}
}

// awaitStored waits for n more collections in the receiver.
func (m *machine) awaitStored(n int) []message {
	m.t.Helper()
	before := len(m.seen("stored"))
	m.await(fmt.Sprintf("%d collections arrive", n), scriptLimit, func([]message) bool { return len(m.seen("stored")) >= before+n })
	return m.seen("stored")[before:]
}

// checkReload has a bad file refused, and a good one taken by the same process.
func checkReload(t *testing.T, m *machine) {
	pid := m.unit("MainPID")
	m.run("echo 'nonsense: 1' > /etc/nodepush/config.yaml")
	if out, status := m.try("systemctl reload nodepush"); status == 0 {
		t.Errorf("a broken file was reloaded: %s", out)
	}
	m.want("active", "systemctl is-active nodepush")
	m.run("cat > /etc/nodepush/config.yaml <<'E'\n" + strings.Replace(config, "site: one", "site: two", 1) + "E\nsystemctl reload nodepush")
	m.awaitStored(3)
	two := 0
	for name := range m.do("Select", "node_load1").Series {
		if strings.Contains(name, `site="two"`) {
			two++
		}
	}
	if two != 1 {
		t.Errorf("%d series with the new label", two)
	}
	if now := m.unit("MainPID"); now != pid {
		t.Errorf("process %s became %s", pid, now)
	}
}

// checkKill wants the agent back after a crash.
func checkKill(t *testing.T, m *machine) {
	pid := m.unit("MainPID")
	began := time.Now()
	m.run("kill -KILL " + pid)
	m.back(pid, 1)
	t.Logf("back %s after kill -9", since(began))
	m.awaitStored(2)
}

// back waits for the restart of a process that is gone. RestartSec is 15s.
func (m *machine) back(pid string, restarts int) {
	m.t.Helper()
	m.eventually("test $(systemctl show --value --property=NRestarts nodepush) -ge " + strconv.Itoa(restarts) +
		" && test $(systemctl show --value --property=MainPID nodepush) -ne " + pid + " && systemctl --quiet is-active nodepush")
}

// checkMemoryLimit lowers the limit below what the agent needs: the kernel
// kills it and nothing else, and it comes back under the unit's limit.
func checkMemoryLimit(t *testing.T, m *machine) {
	const files = "/sys/fs/cgroup/system.slice/nodepush.service/"
	m.want("201326592", "cat "+files+"memory.max")
	m.want("GOMEMLIMIT=144MiB", "tr '\\0' '\\n' < /proc/$(systemctl show --value --property=MainPID nodepush)/environ | grep GOMEMLIMIT")
	used, _ := strconv.Atoi(m.run("cat " + files + "memory.current"))
	anonymous, _ := strconv.Atoi(m.run("awk '$1 == \"anon\" {print $2}' " + files + "memory.stat"))
	if used == 0 || used > 201326592 {
		t.Errorf("memory.current %d", used)
	}
	t.Logf("memory.current %.1f MiB, of it anonymous %.1f MiB", float64(used)/(1<<20), float64(anonymous)/(1<<20))
	pid := m.unit("MainPID")
	m.run("systemctl set-property --runtime nodepush MemoryMax=4M")
	m.eventually("dmesg | grep 'Memory cgroup out of memory.*nodepush'")
	m.run("systemctl set-property --runtime nodepush MemoryMax=192M")
	m.back(pid, 2)
	m.want("201326592", "cat "+files+"memory.max")
	m.awaitStored(2)
}

// checkContainers shows that tests of containers will have what they need.
func checkContainers(t *testing.T, m *machine) {
	m.run("systemctl start docker")
	m.want("2 systemd", "docker info --format '{{.CgroupVersion}} {{.CgroupDriver}}'")
	m.want("7", "docker run --rm --network=none busybox expr 3 + 4")
	m.want("12", "podman run --rm --network=none busybox expr 5 + 7")
	m.run("systemctl stop docker docker.socket containerd")
}

// checkWhole wants every collection that the log had, whatever happened above.
func checkWhole(t *testing.T, m *machine) {
	m.run("systemctl stop nodepush")
	m.want("success", "systemctl show --value --property=Result nodepush")
	frames, stored := m.seen("frame"), m.seen("stored")
	if lost := missing(frames, stored); len(lost) > 0 || len(frames) < 20 {
		t.Errorf("%d of %d collections are missing: %v", len(lost), len(frames), lost)
	}
	tally := m.do("Tally", true)
	if tally.Refused != 0 {
		t.Errorf("%d requests refused: %s", tally.Refused, tally.Refusal)
	}
	t.Logf("%d collections in the log, %d arrived, %d requests refused", len(frames), len(stored), tally.Refused)
}

func memTotal(t *testing.T, m *machine) float64 {
	kib, err := strconv.ParseFloat(m.run("awk '$1 == \"MemTotal:\" {print $2}' /proc/meminfo"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib * 1024
}
