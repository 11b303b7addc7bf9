package writer

import (
	"context"
	"net"
	"sync"

	"github.com/prometheus/common/config"
)

// connections are all that a client has open, to the receiver and to a token
// server. Closing them ends the fetch of a token that knows no context.
type connections struct {
	mu      sync.Mutex
	open    map[*connection]struct{}
	refused bool // a new one
}

// connection is in the set until it is closed.
type connection struct {
	net.Conn
	set *connections
}

func (c *connection) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

// through returns a dialer whose connections are in the set.
func (s *connections) through(dial config.DialContextFunc) config.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return s.add(conn)
	}
}

func (s *connections) add(conn net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused {
		conn.Close()
		return nil, errCut
	}
	if s.open == nil {
		s.open = make(map[*connection]struct{})
	}
	c := &connection{conn, s}
	s.open[c] = struct{}{}
	return c, nil
}

// cut closes every connection, and those to come until mend.
func (s *connections) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = true
	for c := range s.open {
		c.Conn.Close()
	}
	clear(s.open)
}

func (s *connections) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = false
}
