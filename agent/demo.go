package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/common/config"

	"nodepush/collector"
	"nodepush/receiver"
	"nodepush/view"
	"nodepush/writer"
)

// demoInterval is short enough to watch.
const demoInterval = time.Second

// demo runs the real agent against a receiver on loopback and shows each
// second what the receiver has stored: as a view of its own on a terminal, as
// lines elsewhere. It ends after the given time, 0 for never, with a signal,
// or with q on a terminal, and leaves nothing behind but a summary.
func demo(out io.Writer, p collector.Paths, held *view.HeldLog, log *slog.Logger, signals <-chan os.Signal, length time.Duration) error {
	dir, err := os.MkdirTemp("", "nodepush-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sink := receiver.New(receiver.Options{Strict: true})
	server := &http.Server{Handler: sink, ReadHeaderTimeout: 10 * time.Second}
	c := demoConfig(filepath.Join(dir, "wal"), listener.Addr().String())
	a := newAgent(p, func() (*Config, []Warning, error) { return nil, nil, errNoReload }, log)
	a.exit = func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}

	stop, ended := make(chan os.Signal, 2), make(chan error, 1)
	var running group
	running.Go("receiver", func() { server.Serve(listener) }) // ends with ErrServerClosed
	running.Go("agent", func() { ended <- a.run(c, stop) })

	v, err := view.Open(out, view.Options{
		Receiver: sink, Address: listener.Addr().String(), Dir: c.Writer.Dir, Collectors: len(c.Collectors), Messages: held,
	})
	if err == nil {
		err = show(v, signals, ended, length)
	}
	stop <- syscall.SIGTERM
	err = errors.Join(err, a.await(ended, signals, stop))
	server.Shutdown(context.Background()) // no request is under way: its only client has ended
	running.join(context.Background())
	if err == nil {
		err = v.Summary(a.collected())
	}
	if errors.Is(err, syscall.EPIPE) { // head(1) has seen enough
		return nil
	}
	return err
}

// show shows what the receiver has stored until it is time to end, and closes
// the view. When it returns, the terminal is as it was, so that a second
// signal needs no care.
func show(v *view.View, signals <-chan os.Signal, ended chan error, length time.Duration) error {
	var keys group
	defer keys.join(context.Background())
	defer v.Close() // which ends the reading of keys
	keys.Go("keys", v.ReadKeys)
	return watch(v, signals, ended, length)
}

var errNoReload = errors.New("the demo has no configuration file to reload")

// await returns what became of the agent; a signal meanwhile is a second one
// and ends the process.
func (a *agent) await(ended <-chan error, signals <-chan os.Signal, stop chan<- os.Signal) error {
	for {
		select {
		case err := <-ended:
			return err
		case s := <-signals:
			select {
			case stop <- s:
			default:
			}
		}
	}
}

// demoConfig collects everything each second and sends it at once.
func demoConfig(dir, address string) *Config {
	c := DefaultConfig()
	c.Interval, c.Timeout = demoInterval, demoInterval
	for i := range c.Collectors {
		c.Collectors[i].Interval = demoInterval
	}
	c.Writer.Dir = dir
	c.Writer.Receivers = []writer.Receiver{{
		Name: "demo", URL: "http://" + address + receiver.Path, HTTP: config.DefaultHTTPClientConfig,
		Timeout: 5 * time.Second, BatchSendDeadline: demoInterval / 4, MinBackoff: 100 * time.Millisecond, MaxBackoff: demoInterval,
	}}
	return c
}

// collected is the number of samples that were handed to the log.
func (a *agent) collected() (n uint64) {
	for _, c := range a.counts.sources {
		n += c.samples.Load()
	}
	return n
}

// watch shows what there is each second until it is time to end.
func watch(v *view.View, signals <-chan os.Signal, ended chan error, length time.Duration) error {
	var end <-chan time.Time
	if length > 0 {
		end = time.After(length)
	}
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = v.Show()
		case s := <-v.Events():
			if s == syscall.SIGINT {
				return nil
			}
			err = v.Handle(s)
		case <-end:
			return nil
		case <-signals:
			return nil
		case err := <-ended: // it should not, by itself
			ended <- nil
			return err
		}
		if err != nil {
			return err
		}
	}
}
