package agent

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"nodepush/collector"
)

func TestIntervalsAndCollectors(t *testing.T) {
	all := collector.Names()
	for _, c := range []struct {
		name, text        string
		interval, timeout time.Duration
		collectors        []CollectorConfig // nil: every one, at interval
		err               string
	}{
		{"defaults", "", 15 * time.Second, 10 * time.Second, nil, ""},
		{"short interval", "global: {scrape_interval: 5s}", 5 * time.Second, 5 * time.Second, nil, ""},
		{"long interval", "global: {scrape_interval: 1m, scrape_timeout: 50s}", time.Minute, 50 * time.Second, nil, ""},
		{"timeout", "global: {scrape_timeout: 16s}", 0, 0, nil, "F:1: global.scrape_timeout: 16s is longer than global.scrape_interval (15s)"},
		{"none", "collectors: {profile: none, meminfo: , cpu: {interval: 1m}, netdev: {enabled: false}}", 15 * time.Second, 10 * time.Second,
			[]CollectorConfig{{"cpu", time.Minute}, {"meminfo", 15 * time.Second}}, ""},
		{"order does not matter", "collectors: {cpu: {interval: 5s}, profile: none}\nglobal: {scrape_interval: 30s}", 30 * time.Second, 5 * time.Second,
			[]CollectorConfig{{"cpu", 5 * time.Second}}, ""},
		{"one off", "collectors: {" + all[0] + ": {enabled: false}}", 15 * time.Second, 10 * time.Second, []CollectorConfig{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := loadText(t, c.text+"\n"+receiverLine)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "interval", got.Interval, c.interval)
			wantSame(t, "timeout", got.Timeout, c.timeout)
			if len(c.collectors) == 0 {
				for _, name := range all[len(all)-len(got.Collectors):] {
					c.collectors = append(c.collectors, CollectorConfig{name, c.interval})
				}
				skipped := map[string]int{"one off": 1}[c.name]
				wantSame(t, "number of collectors", len(got.Collectors), len(all)-skipped)
			}
			wantSame(t, "collectors", got.Collectors, c.collectors)
		})
	}
}

func TestCollectorOptionsAreRead(t *testing.T) {
	c, _, err := loadText(t, `
collectors:
  job: host
  cpu: {guest: false, info: yes}
  filesystem: {mount_points_include: "^/$", mount_timeout: 2s}
  netdev: {device_exclude: ""}
`+receiverLine)
	if err != nil {
		t.Fatal(err)
	}
	no, root, empty := false, "^/$", ""
	wantSame(t, "job", c.Job, "host")
	wantSame(t, "options", c.Options, collector.Options{
		CPU:        collector.CPUOptions{Guest: &no, Info: true},
		Filesystem: collector.FilesystemOptions{MountPointsInclude: &root, MountTimeout: 2 * time.Second},
		Netdev:     collector.NetdevOptions{DeviceExclude: &empty},
	})
}

// Options are judged even where the collector is off, each in its line.
func TestCollectorOptionsAreJudged(t *testing.T) {
	_, _, err := loadText(t, `collectors:
  filesystem:
    enabled: false
    mount_points_exclude: "("
    fs_types_include: "["
  netdev: {device_include: a, device_exclude: b}
`+receiverLine)
	if err == nil {
		t.Fatal("no error")
	}
	var got []string
	for line := range strings.Lines(err.Error()) {
		at, _, _ := strings.Cut(line, ": ")
		_, key, _ := strings.Cut(line, ": ")
		key, _, _ = strings.Cut(key, ": ")
		got = append(got, at+" "+key)
	}
	wantSame(t, "problems", got, []string{"F:4 collectors.filesystem.mount_points_exclude", "F:5 collectors.filesystem.fs_types_include", "F:6 collectors.netdev.device_include"})
}

// The kinds of options that collectors have, and may have one day.
func TestReadOption(t *testing.T) {
	type options struct {
		Flag     bool
		Number   int
		Maybe    *int
		Text     *string
		List     []string
		Duration time.Duration
	}
	one, text := 1, ""
	for _, c := range []struct {
		field, yaml string
		want        options
		problems    int
	}{
		{"Flag", "yes", options{Flag: true}, 0},
		{"Flag", "1", options{}, 1},
		{"Number", "-12", options{Number: -12}, 0},
		{"Number", "1.5", options{}, 1},
		{"Number", "99999999999999999999", options{}, 1},
		{"Maybe", "1", options{Maybe: &one}, 0},
		{"Maybe", "one", options{}, 1},
		{"Text", "''", options{Text: &text}, 0},
		{"Text", "2026-01-01", options{Text: new("2026-01-01")}, 0},
		{"List", "[a, 1]", options{List: []string{"a", "1"}}, 0},
		{"List", "[a, ~, [b]]", options{List: []string{"a"}}, 2},
		{"Duration", "1m", options{Duration: time.Minute}, 0},
		{"Duration", "1", options{}, 1},
	} {
		p := newParser("F", expander{})
		root, _ := p.document([]byte(c.yaml))
		var got options
		readOption(value{p: p, node: root, line: 1}, reflect.ValueOf(&got).Elem().FieldByName(c.field))
		if !reflect.DeepEqual(got, c.want) || len(p.problems) != c.problems {
			t.Errorf("%s: %s: got %+v and %v, want %+v and %d problems", c.field, c.yaml, got, p.problems, c.want, c.problems)
		}
	}
}

func TestDefaultConfig(t *testing.T) {
	want, _, err := loadText(t, receiverLine)
	if err != nil {
		t.Fatal(err)
	}
	want.Writer.Receivers = nil
	wantSame(t, "DefaultConfig", DefaultConfig(), want)
	wantSame(t, "collectors", len(want.Collectors), len(collector.Names()))
	wantSame(t, "job", want.Job, "node")
}
