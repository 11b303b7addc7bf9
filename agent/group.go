package agent

import "context"

// group is a set of named goroutines that is joined as one. It belongs to the
// function that starts and joins them.
type group struct{ members []member }

type member struct {
	name string
	done chan struct{} // closed when it has returned
}

// Go runs f in a goroutine of the group.
func (g *group) Go(name string, f func()) {
	m := member{name, make(chan struct{})}
	g.members = append(g.members, m)
	go func() {
		defer close(m.done)
		f()
	}()
}

// join waits until all have returned or ctx has ended, and returns the names
// of those that have not.
func (g *group) join(ctx context.Context) (left []string) {
	for _, m := range g.members {
		select {
		case <-m.done:
			continue
		default:
		}
		select {
		case <-m.done:
		case <-ctx.Done():
			left = append(left, m.name)
		}
	}
	return left
}
