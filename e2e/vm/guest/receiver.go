//go:build vm

package main

import (
	"errors"
	"net"
	"net/http"
	"sync"

	"nodepush/receiver"
)

// address is where the receiver listens; guests have only a loopback interface.
const address = "127.0.0.1:9201"

// marker is a series that every collection has one sample of.
const marker = "node_time_seconds"

// farEnd is the receiver in the guest. Closed and opened again it still has
// what it stored.
type farEnd struct {
	*receiver.Receiver
	line *line

	mu     sync.Mutex
	server *http.Server // nil: closed
	told   int          // samples of marker that the host knows of
}

func newFarEnd(l *line) *farEnd {
	return &farEnd{Receiver: receiver.New(receiver.Options{KeepBytes: 256 << 20}), line: l}
}

// set opens or closes the receiver.
func (f *farEnd) set(open bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !open {
		if f.server == nil {
			return errors.New("the receiver is closed")
		}
		err := f.server.Close()
		f.server = nil
		return err
	}
	if f.server != nil {
		return errors.New("the receiver is open")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	f.server = &http.Server{Handler: f}
	go f.server.Serve(listener)
	return nil
}

// ServeHTTP tells the host of each collection that was stored.
func (f *farEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Receiver.ServeHTTP(w, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.Select(marker) {
		for _, one := range s.Samples {
			if n++; n > f.told && !one.Stale() {
				f.line.say(message{Event: "stored", Time: one.Time})
			}
		}
	}
	f.told = n
}

// newest returns the newest values of a metric's live series.
func (f *farEnd) newest(metric string) message {
	m := message{Series: make(map[string]float64)}
	for _, s := range f.Select(metric) {
		if s.Live {
			m.Series[s.String()] = s.Newest.Value
		}
	}
	return m
}

// tally counts what is stored of each collection. A sample that came twice counts once.
func (f *farEnd) tally() message {
	stats := f.Stats()
	m := message{Tally: make(map[int64]int), Refused: stats.Refused, Refusal: stats.LastRefusal}
	for _, s := range f.Series() {
		seen := make(map[int64]bool, len(s.Samples))
		for _, one := range s.Samples {
			if !one.Stale() && !seen[one.Time] {
				seen[one.Time] = true
				m.Tally[one.Time]++
			}
		}
	}
	return m
}
