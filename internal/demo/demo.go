// Package demo starts everything that is needed to see Plumbline at work: a real Envoy, Plumbline itself in embedded
// mode, a stand-in provider on loopback, and people with tasks, limits and keys. It runs a tour of exchanges, prints
// each beside its audit record, and then follows live traffic until it is stopped. Nothing of it stays behind.
//
// It is for people who try Plumbline and for other programs that need a governed endpoint: see Ready.
package demo

import (
	"context"
	_ "embed" // the seed
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
	"github.com/plumbline/plumbline/internal/telemetry"
)

//go:embed seed/policy.yaml
var defaultPolicy []byte

//go:embed seed/objects.yaml
var objects []byte

// Options say what to start.
type Options struct {
	// Envoy is the path of an Envoy; empty looks for one.
	Envoy string
	// Listen is the address for callers.
	Listen string
	// Tour runs the tour, Stay keeps everything up after it.
	Tour, Stay bool
	// Upstream is a provider in place of the stand-in, and UpstreamKey the file that holds its key, if it wants one.
	Upstream, UpstreamKey string
	// Policy is a policy document in place of the demo's own.
	Policy string
	// DataDir keeps the data; empty: a directory that goes with the demo.
	DataDir string
	// ReadyFile is written once everything serves.
	ReadyFile string

	Out   io.Writer // the tour and live traffic
	Talk  io.Writer // everything else
	Log   *slog.Logger
	Build telemetry.Build
}

// Ready tells other programs how to use the demo.
type Ready struct {
	BaseURL    string            `json:"base_url"`
	Tokens     map[string]string `json:"tokens"`
	MetricsURL string            `json:"metrics_url"`
	DataDir    string            `json:"data_dir"`
}

// ErrTour says that an exchange of the tour did not end as it should, or that its audit record does not say so.
var ErrTour = errors.New("the tour did not pass")

// ErrStopped says that the demo was stopped before it was up, or in the middle of the tour.
var ErrStopped = errors.New("the demo was stopped before its end")

// running is a demo that is up.
type running struct {
	o           Options
	app         *app.App
	provider    *standIn // nil with an upstream of the user's
	envoy       *envoyproc.Process
	credentials credentials
	ready       Ready
}

// Run starts everything, runs the tour, stays up until ctx ends if asked to, and stops everything. Errors are those of
// starting, ErrStopped, ErrTour unless the demo stays up, and what a part that ended by itself says.
func Run(ctx context.Context, o Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &running{o: o}
	if err := checkFree(ctx, o.Listen); err != nil {
		return err
	}
	if o.ReadyFile != "" { // of a demo that was killed
		if err := os.Remove(o.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the ready file: %w", err)
		}
	}
	removeData, err := r.prepareData()
	if err != nil {
		return err
	}
	defer removeData()

	// Each part gives nil when it ends because ctx did, so that the first error is the cause of the end.
	group, ctx := errgroup.WithContext(ctx)
	if err := r.start(ctx, group); err != nil {
		err = stopped(ctx, err)
		stop()
		return errors.Join(group.Wait(), err)
	}
	group.Go(func() error { return r.watchEnvoy(ctx) })
	group.Go(func() error {
		defer stop() // whatever ends this ends the demo
		return r.show(ctx)
	})
	err = group.Wait()
	return errors.Join(err, r.envoy.Stop())
}

// show is what the user came for.
func (r *running) show(ctx context.Context) error {
	fmt.Fprintf(r.o.Talk, "Envoy      %s\nPlumbline  %s, metrics %s\nprovider   %s\ndata       %s\n\n",
		r.ready.BaseURL, r.app.Socket(), r.ready.MetricsURL, r.upstream(), r.ready.DataDir)
	if r.o.ReadyFile != "" {
		if err := r.writeReady(); err != nil {
			return err
		}
		defer os.Remove(r.o.ReadyFile)
	}
	if r.o.Tour {
		err := stopped(ctx, r.tour(ctx))
		if err != nil && (!r.o.Stay || !errors.Is(err, ErrTour)) {
			return err
		}
	}
	if !r.o.Stay {
		return nil
	}
	r.invite()
	if err := stopped(ctx, r.follow(ctx)); !errors.Is(err, ErrStopped) {
		return err
	}
	return nil
}

func (r *running) prepareData() (remove func(), err error) {
	if r.o.DataDir != "" {
		if r.o.DataDir, err = filepath.Abs(r.o.DataDir); err != nil { // Envoy takes no other path to a socket
			return nil, err
		}
		return func() {}, os.MkdirAll(r.o.DataDir, 0o700)
	}
	r.o.DataDir, err = os.MkdirTemp("", "plumbline-demo-")
	return func() { os.RemoveAll(r.o.DataDir) }, err
}

// start brings everything up, the provider first and Envoy last.
func (r *running) start(ctx context.Context, group *errgroup.Group) error {
	upstream, key := r.o.Upstream, r.o.UpstreamKey
	if upstream == "" {
		p, err := startProvider(ctx, group)
		if err != nil {
			return err
		}
		r.provider = p
		upstream = p.url
		key = filepath.Join(r.o.DataDir, "provider-key")
		if err := os.WriteFile(key, []byte(p.key), 0o600); err != nil {
			return err
		}
	}
	cfg, err := r.config(key)
	if err != nil {
		return err
	}
	r.app, err = app.New(ctx, app.Options{Config: cfg, Build: r.o.Build, Log: r.o.Log})
	if err != nil {
		return err
	}
	group.Go(func() error { return ignoreEnd(r.app.Run(ctx)) })
	if r.credentials, err = seed(ctx, r.app, cfg.Identity); err != nil {
		return err
	}
	return r.startEnvoy(ctx, upstream, cfg)
}

// config is that of an ordinary Plumbline; what differs is where its files are and how fast it stops. Without a key file
// requests reach the provider without a credential.
func (r *running) config(keyFile string) (config.Config, error) {
	policyFile := r.o.Policy
	if policyFile == "" {
		policyFile = filepath.Join(r.o.DataDir, "policy.yaml")
		if err := os.WriteFile(policyFile, defaultPolicy, 0o600); err != nil {
			return config.Config{}, err
		}
	}
	flags := map[string]string{
		"data_dir":          r.o.DataDir,
		"policy.file":       policyFile,
		"ops.listen":        "127.0.0.1:0",
		"shutdown.grace":    "2s",
		"extproc.cut_grace": "1s",
		// The tour has the standard output.
		"audit.checkpoints.sink": "file:" + filepath.Join(r.o.DataDir, "checkpoints.log"),
		// The stand-in's models are in no price table, and nothing is free.
		"prices.unknown_input":  "150000",
		"prices.unknown_output": "600000",
	}
	if keyFile != "" {
		flags["provider.key"], flags["provider.inject_key"] = "file:"+keyFile, "true"
	}
	cfg, _, err := config.Load(config.LoadOptions{ReadFile: os.ReadFile, Flags: flags})
	return cfg, err
}

func (r *running) startEnvoy(ctx context.Context, upstream string, cfg config.Config) error {
	binary, err := envoyproc.Find(r.o.Envoy, ".tools")
	if err != nil {
		return err
	}
	bootstrap, err := envoyconf.Standalone(envoyconf.Options{
		Listen: r.o.Listen, Upstream: upstream, Socket: r.app.Socket(), AccessLog: "none",
		MessageTimeout: cfg.ExtProc.MessageTimeout, BodyLimit: int64(cfg.ExtProc.MaxBody),
	})
	if err != nil {
		return err
	}
	r.envoy, err = envoyproc.Start(ctx, envoyproc.Options{Binary: binary, Config: bootstrap})
	if err != nil {
		return err
	}
	r.ready = Ready{
		BaseURL:    "http://" + r.envoy.Address(envoyconf.ListenerName) + "/v1",
		Tokens:     r.credentials.tokens,
		MetricsURL: r.app.OpsURL() + "/metrics",
		DataDir:    r.o.DataDir,
	}
	return nil
}

// watchEnvoy ends the demo when Envoy ends by itself.
func (r *running) watchEnvoy(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.envoy.Done():
		return fmt.Errorf("the Envoy of the demo ended: %s", r.envoy.Log())
	}
}

// writeReady writes the ready file whole: a reader sees all of it or nothing.
func (r *running) writeReady() error {
	data, err := json.MarshalIndent(r.ready, "", "  ")
	if err != nil {
		return err
	}
	part := r.o.ReadyFile + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(part, r.o.ReadyFile); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

func (r *running) upstream() string {
	if r.provider != nil {
		return "stand-in at " + r.provider.url
	}
	return r.o.Upstream
}

// checkFree says which port is taken before anything is started.
func checkFree(ctx context.Context, address string) error {
	var config net.ListenConfig
	lis, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (%w). Choose another address: --listen 127.0.0.1:PORT, or make demo ARGS=\"--listen 127.0.0.1:PORT\"", address, err)
	}
	return lis.Close()
}

// stopped gives ErrStopped for what fails because the demo was stopped. What fails has its own words for that.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ErrStopped
	}
	return err
}

// ignoreEnd gives nil for the error of a part that was stopped.
func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
