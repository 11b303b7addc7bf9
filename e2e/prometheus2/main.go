// Command prometheus2 is a receiver of remote write 1.0 and 2.0 for the
// end-to-end tests: Prometheus' own handlers and storage with its defaults, so
// without an out-of-order window. Debian's Prometheus does not know 2.0 yet. It
// is a module of its own because it pulls in what Prometheus is made of.
//
//	POST /api/v1/write    remote write
//	POST /api/v1/read     remote read: raw samples, stale markers included
//	GET  /seen            what came beside the samples: type, unit, help, start timestamp
//	GET  /metrics         the storage's own metrics
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

func main() {
	listen := flag.String("listen", "", "loopback address")
	dir := flag.String("dir", "", "directory of the storage")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := run(*listen, *dir, log); err != nil {
		log.Error("prometheus2", "err", err)
		os.Exit(1)
	}
}

// run serves until SIGTERM.
func run(listen, dir string, log *slog.Logger) error {
	registry := prometheus.NewRegistry()
	db, err := tsdb.Open(dir, log, registry, tsdb.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: routes(db, registry, log)}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = server.Shutdown(context.Background())
	}
	return errors.Join(err, db.Close())
}

func routes(db *tsdb.DB, registry *prometheus.Registry, log *slog.Logger) http.Handler {
	const (
		startTimestamps = true  // handed to the storage, where witness keeps them apart
		typeLabels      = false // the series must be those that Debian's Prometheus has
		withMetadata    = true
		readSamples     = 50_000_000 // Prometheus' default limits of remote read
		readers         = 10
		readFrame       = 1 << 20
	)
	w := &witness{Appendable: db, seen: make(map[string]*companion)}
	noConfig := func() config.Config { return config.Config{} }
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/write", remote.NewWriteHandler(log, registry, w,
		remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}, startTimestamps, typeLabels, withMetadata))
	mux.Handle("POST /api/v1/read", remote.NewReadHandler(log, registry, db, noConfig, readSamples, readers, readFrame))
	mux.HandleFunc("GET /seen", w.serve)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// companion is what the write handler got with a series' newest sample.
type companion struct {
	Labels map[string]string `json:"labels"`
	Type   string            `json:"type"`
	Unit   string            `json:"unit"`
	Help   string            `json:"help"`
	Start  int64             `json:"start"` // milliseconds; 0: none
}

// witness stands between the write handler and the storage. It passes samples
// on and notes what Prometheus' interfaces do not give back. A start timestamp
// stays here: the storage would make a sample of value 0 of it, which the
// sender did not send.
type witness struct {
	storage.Appendable
	mu   sync.Mutex
	seen map[string]*companion // by labels
}

func (w *witness) Appender(ctx context.Context) storage.Appender {
	return &noting{Appender: w.Appendable.Appender(ctx), witness: w}
}

// of returns the entry of a series. w.mu is held.
func (w *witness) of(l labels.Labels) *companion {
	id := l.String()
	if w.seen[id] == nil {
		w.seen[id] = &companion{Labels: l.Map()}
	}
	return w.seen[id]
}

func (w *witness) serve(rw http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*companion, 0, len(w.seen))
	for _, c := range w.seen {
		list = append(list, c)
	}
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(list)
}

// noting is the appender of one request.
type noting struct {
	storage.Appender
	witness *witness
}

func (n *noting) AppendSTZeroSample(ref storage.SeriesRef, l labels.Labels, _, start int64) (storage.SeriesRef, error) {
	n.witness.mu.Lock()
	defer n.witness.mu.Unlock()
	n.witness.of(l).Start = start
	return ref, nil
}

func (n *noting) UpdateMetadata(ref storage.SeriesRef, l labels.Labels, m metadata.Metadata) (storage.SeriesRef, error) {
	n.witness.mu.Lock()
	c := n.witness.of(l)
	c.Type, c.Unit, c.Help = string(m.Type), m.Unit, m.Help
	n.witness.mu.Unlock()
	return n.Appender.UpdateMetadata(ref, l, m)
}
