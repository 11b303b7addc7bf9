package writer

import (
	"encoding/base64"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
)

// sent is what left of a request, told by the transport's goroutines: below
// everything that adds credentials, wherever those came from.
type sent struct {
	mu        sync.Mutex
	connected bool
	values    []string // of the headers that are not ours
}

// ours are the headers that hold no secret.
var ours = []string{
	"Host", "User-Agent", "Content-Length", "Content-Type", "Content-Encoding", "Accept-Encoding",
	"X-Prometheus-Remote-Write-Version", "Retry-Attempt",
}

func (s *sent) connection(httptrace.GotConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = true
}

func (s *sent) header(name string, values []string) {
	if strings.HasPrefix(name, ":") || slices.ContainsFunc(ours, func(o string) bool { return strings.EqualFold(o, name) }) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = append(s.values, values...)
}

// begun reports whether there was a connection to send on.
func (s *sent) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

// secrets returns the values, and what they are made of.
func (s *sent) secrets() secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for _, value := range s.values {
		texts = append(texts, value)
		scheme, rest, _ := strings.Cut(value, " ")
		texts = append(texts, rest)
		if strings.EqualFold(scheme, "Basic") {
			pair, _ := base64.StdEncoding.DecodeString(rest)
			user, password, _ := strings.Cut(string(pair), ":")
			texts = append(texts, string(pair), user, password)
		}
	}
	return newForms(texts)
}
