package agent

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// expander replaces ${NAME} in the values that may hold it: external labels,
// instance, url, headers, user names and file paths.
type expander struct {
	lookup    func(name string) (string, bool)
	machineID func() (string, error)
}

// expand replaces each ${NAME} by the environment variable, ${machine_id} by
// the machine's id and $$ by a dollar sign. A lone dollar sign is an error,
// because Prometheus would read $NAME as a variable. The error shows no more of
// s than a name inside ${}.
func (e expander) expand(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after, ok := strings.CutPrefix(rest, "$"); ok {
			b.WriteByte('$')
			s = after
			continue
		}
		body, ok := strings.CutPrefix(rest, "{")
		name, after, closed := strings.Cut(body, "}")
		if !ok || !closed || !variableName(name) {
			return "", errors.New("a $ must begin ${NAME} or be written $$")
		}
		text, err := e.variable(name)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		s = after
	}
}

func (e expander) variable(name string) (string, error) {
	if name == "machine_id" {
		return e.machineID()
	}
	if text, ok := e.lookup(name); ok {
		return text, nil
	}
	return "", fmt.Errorf("the environment variable %s is not set", name)
}

// variableName reports whether s is a name of IEEE Std 1003.1, 8.1, in either case.
func variableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// machineID reads the id below rootfs that machine-id(5) describes: 32
// hexadecimal digits, the same from the first boot on.
func machineID(rootfs string) (string, error) {
	file := filepath.Join(cmp.Or(rootfs, "/"), "etc/machine-id")
	data, err := readSmall(file)
	if err != nil {
		return "", fmt.Errorf("${machine_id}: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return "", fmt.Errorf("${machine_id}: %s does not hold 32 hexadecimal digits", file)
	}
	return id, nil
}
