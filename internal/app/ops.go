package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/plumbline/plumbline/internal/config"
)

// ops serves metrics and health on a listener of its own, away from what callers and administrators reach.
type ops struct {
	listener net.Listener
	server   *http.Server
}

// opsParts are what ops shows.
type opsParts struct {
	registry *prometheus.Registry
	ready    func() error           // what keeps Plumbline from governing, nil when nothing does
	keys     func() ([]byte, error) // the public signing keys, as a JSON Web Key Set
	log      *slog.Logger
}

// newOps opens the address.
func newOps(ctx context.Context, c config.Ops, p opsParts) (*ops, error) {
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("ops.listen: cannot listen on %s: %w (set ops.listen or PLUMBLINE_OPS_LISTEN to another address)", c.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.ready(); err != nil {
			p.log.Warn("not ready", "error", err)
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		set, err := p.keys()
		if err != nil {
			p.log.Error("the public signing keys cannot be shown", "error", err)
			http.Error(w, "the keys cannot be shown", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=60") // a key that was rotated in is known within a minute
		_, _ = w.Write(set)                                   // whoever asked may be gone
	})
	if c.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return &ops{lis, &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

func (o *ops) address() string { return o.listener.Addr().String() }

// serve answers until ctx ends.
func (o *ops) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, o.close)
	defer stop()
	if err := o.server.Serve(o.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("ops: %w", err)
	}
	return nil
}

func (o *ops) close() {
	o.server.Close()
	o.listener.Close()
}
