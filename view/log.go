package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// maxHeld is how many messages are held back at most.
const maxHeld = 100

// HeldLog is where the agent's messages go: to another writer, except while a
// view has the screen, which a message would tear. The newest message is for
// the view to show.
type HeldLog struct {
	to io.Writer

	mu      sync.Mutex
	holding bool
	held    []string
	dropped int // of held, the oldest
	last    string
}

// NewHeldLog returns one that writes to another writer.
func NewHeldLog(to io.Writer) *HeldLog { return &HeldLog{to: to} }

// Write takes one message, as log handlers write them.
func (h *HeldLog) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = strings.TrimSuffix(string(p), "\n")
	if !h.holding {
		return h.to.Write(p)
	}
	if len(h.held) == maxHeld {
		h.held = h.held[1:]
		h.dropped++
	}
	h.held = append(h.held, string(p))
	return len(p), nil
}

// hold begins to keep messages back.
func (h *HeldLog) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = true
}

// release writes what was held, and from now on what comes.
func (h *HeldLog) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dropped > 0 {
		fmt.Fprintf(h.to, "(%d older messages left out)\n", h.dropped)
	}
	for _, message := range h.held {
		io.WriteString(h.to, message) // to standard error: there is no other place to complain
	}
	h.holding, h.held, h.dropped = false, nil, 0
}

// newest is the newest message, "" before the first.
func (h *HeldLog) newest() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}
