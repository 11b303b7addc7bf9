package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxConfigBytes bounds the file, and with it the time a hostile one can take.
const maxConfigBytes = 1 << 20

// readLimited reads a file of at most maxConfigBytes. The error does not name
// the file again.
func readLimited(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxConfigBytes {
		return nil, errors.New("the file is larger than 1 MiB")
	}
	return data, nil
}

// withoutPath strips operation and path from an error of package os.
func withoutPath(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// document parses the one YAML document in data and returns its root, nil for
// an empty one. It reports what is wrong with the text and returns false then.
func (p *parser) document(data []byte) (*yaml.Node, bool) {
	if line, text := textProblem(data); text != "" {
		p.add(line, "", text)
		return nil, false
	}
	var first, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(&first)
	if errors.Is(err, io.EOF) {
		return nil, true
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			p.add(second.Line, "", "a second document begins here: the file must hold one")
			return nil, false
		}
	}
	if !errors.Is(err, io.EOF) {
		p.add(syntaxLine(data, err), "", "not valid YAML: "+syntaxText(err))
		return nil, false
	}
	if len(first.Content) == 0 {
		return nil, true
	}
	return resolve(first.Content[0]), true
}

// textProblem finds the first byte that no configuration may hold. The
// Unicode line separators are refused because YAML counts them as line ends
// and editors do not, so that every line number after them would be wrong.
func textProblem(data []byte) (line int, text string) {
	line = 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return line, "not UTF-8: the file must be UTF-8 text"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, fmt.Sprintf("control character %#02x: the file must be plain text", r)
		case r == 0x85, r == 0x2028, r == 0x2029:
			return line, fmt.Sprintf("line separator %U: lines must end with LF or CRLF", r)
		}
		data = data[n:]
	}
	return 0, ""
}

// syntaxText is the parser's message without its line number. The library
// quotes text of the file only where it names anchors.
func syntaxText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, after, found := strings.Cut(rest, ": "); found {
			text = after
		}
	}
	switch {
	case strings.HasPrefix(text, "unknown anchor"):
		return "an alias without its anchor; a value that begins with * must be quoted"
	case strings.HasPrefix(text, "cannot decode"), strings.HasPrefix(text, "anchor "):
		return "a value that cannot be read"
	case strings.Contains(text, "cannot start any token"):
		return text + "; indent with spaces, and quote a value that begins with @, ` or %"
	case strings.Contains(text, "mapping values are not allowed"):
		return text + "; check the indentation, and quote a value that holds \": \""
	}
	return text
}

// syntaxBudget bounds the bytes that syntaxLine parses again.
const syntaxBudget = 16 << 20

// syntaxLine finds the line that breaks the text: the one after the longest
// run of whole lines that still is YAML. The library's own number is that of
// the surrounding block, one less for some errors, or missing.
func syntaxLine(data []byte, err error) int {
	hint := 1
	if rest, ok := strings.CutPrefix(err.Error(), "yaml: line "); ok {
		digits, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(digits); err == nil {
			hint = n
		}
	}
	good, line, end, budget := max(0, hint-2), 0, 0, syntaxBudget
	for end < len(data) {
		line++
		end += lineLength(data[end:])
		if line <= good {
			continue
		}
		if budget -= end; budget < 0 {
			return hint
		}
		if parses(data[:end]) {
			good = line
		}
	}
	return min(good+1, line)
}

// lineLength is the length of data's first line, its end included.
func lineLength(data []byte) int {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1
	}
	return len(data)
}

// parses reports whether data is YAML, of any number of documents.
func parses(data []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
