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

// newOps opens the address. ready reports what keeps Plumbline from governing, nil when nothing does.
func newOps(ctx context.Context, c config.Ops, registry *prometheus.Registry, ready func() error, log *slog.Logger) (*ops, error) {
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("ops.listen: cannot listen on %s: %w (set ops.listen or PLUMBLINE_OPS_LISTEN to another address)", c.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			log.Warn("not ready", "error", err)
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
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
