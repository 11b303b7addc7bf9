package agent

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/relabel"
)

// yamlTags lists the keys of a struct as YAML knows them, inlined ones too.
func yamlTags(t reflect.Type) []string {
	var tags []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(rest, "inline"):
			tags = append(tags, yamlTags(f.Type)...)
		case name != "" && name != "-":
			tags = append(tags, name)
		}
	}
	return tags
}

// Each key of the libraries' structs has a row, so that a new version of them
// cannot bring one that is unknown here.
func TestEveryLibraryKeyIsKnown(t *testing.T) {
	for path, typ := range map[string]reflect.Type{
		"remote_write[]":                         reflect.TypeFor[config.HTTPClientConfig](),
		"remote_write[].basic_auth":              reflect.TypeFor[config.BasicAuth](),
		"remote_write[].authorization":           reflect.TypeFor[config.Authorization](),
		"remote_write[].oauth2":                  reflect.TypeFor[config.OAuth2](),
		"remote_write[].tls_config":              reflect.TypeFor[config.TLSConfig](),
		"remote_write[].http_headers.<name>":     reflect.TypeFor[config.Header](),
		"remote_write[].write_relabel_configs[]": reflect.TypeFor[relabel.Config](),
	} {
		wantKeys(t, path, yamlTags(typ))
	}
}

func wantKeys(t *testing.T, path string, tags []string) {
	t.Helper()
	for _, b := range keyBlocks() {
		if b.path != path {
			continue
		}
		for _, tag := range tags {
			if !slices.ContainsFunc(b.rows, func(r keyRow) bool { return r.name == tag }) {
				t.Errorf("%s has no row for %s", path, tag)
			}
		}
		return
	}
	t.Errorf("no block %s", path)
}

// The same for Prometheus' own configuration, whose package would bring a
// hundred others along: its source is read instead. What is not Prometheus' is
// named here, so that no row outlives the key it stands for.
func TestEveryPrometheusKeyIsKnown(t *testing.T) {
	tags := prometheusTags(t)
	http := yamlTags(reflect.TypeFor[config.HTTPClientConfig]())
	for path, c := range map[string]struct{ theirs, ours []string }{
		"":                               {tags["Config"], []string{"collectors", "wal", "pushgateway"}},
		"global":                         {tags["GlobalConfig"], []string{"instance", "shutdown_timeout"}},
		"remote_write[]":                 {append(http, tags["RemoteWriteConfig"]...), []string{"out_of_order_time_window", "on_endpoint_error"}},
		"remote_write[].queue_config":    {tags["QueueConfig"], nil},
		"remote_write[].metadata_config": {tags["MetadataConfig"], nil},
	} {
		if len(c.theirs) == 0 {
			t.Errorf("no keys of Prometheus for %q", path)
		}
		wantKeys(t, path, c.theirs)
		for _, name := range rowNames(path) {
			if slices.Contains(c.theirs, name) == slices.Contains(c.ours, name) {
				t.Errorf("%s.%s: want it either as Prometheus' or as ours", path, name)
			}
		}
	}
}

func rowNames(path string) (names []string) {
	for _, b := range keyBlocks() {
		for _, r := range b.rows {
			if b.path == path {
				names = append(names, r.name)
			}
		}
	}
	return names
}

// prometheusTags lists the YAML keys of the structs in Prometheus' package config.
func prometheusTags(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	file, err := goparser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "config/config.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return structTags(file)
}

// structTags lists the YAML keys of each struct in a source file.
func structTags(file *ast.File) map[string][]string {
	tags := make(map[string][]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range s.Fields.List {
			if f.Tag == nil {
				continue
			}
			text, _ := strconv.Unquote(f.Tag.Value)
			if name, _, _ := strings.Cut(reflect.StructTag(text).Get("yaml"), ","); name != "" && name != "-" {
				tags[spec.Name.Name] = append(tags[spec.Name.Name], name)
			}
		}
		return true
	})
	return tags
}
