package testkit

import (
	"bytes"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/goccy/go-yaml"
	"google.golang.org/grpc"

	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
)

// EnvoyBinary is the path of a real Envoy: $ENVOY, envoy on PATH, or the one in the project's tools.
func EnvoyBinary(t testing.TB) string {
	t.Helper()
	path, err := envoyproc.Find(os.Getenv("ENVOY"), filepath.Join(Root(t), ".tools"))
	if err != nil {
		Missing(t, err.Error())
	}
	return path
}

// Envoy is a running Envoy with one of Plumbline's configurations.
type Envoy struct {
	*envoyproc.Process
	// URL is where callers connect, without a trailing slash.
	URL string
	// AccessLog is the file with one line of JSON for each exchange.
	AccessLog string
}

// StartEnvoy starts a real Envoy with the configuration of o (gateway or sidecar where o says who calls, else standalone),
// on a port that the kernel chooses, and stops it at the end of the test. A log line that Envoy itself calls an error does
// not fail the test; a crash does.
func StartEnvoy(t testing.TB, o envoyconf.Options) *Envoy {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	if o.AccessLog == "" {
		o.AccessLog = filepath.Join(t.TempDir(), "access.log")
	}
	render, scheme := envoyconf.Standalone, "http://"
	switch {
	case o.Clients != (envoyconf.Clients{}):
		render, scheme = envoyconf.Gateway, "https://"
	case o.Workload != "":
		render = envoyconf.Sidecar
	}
	config, err := render(o)
	if err != nil {
		t.Fatal(err)
	}
	p := RunEnvoy(t, config)
	return &Envoy{Process: p, URL: scheme + p.Address(envoyconf.ListenerName), AccessLog: o.AccessLog}
}

// RunEnvoy starts a real Envoy with any configuration and stops it at the end of the test.
func RunEnvoy(t testing.TB, config []byte) *envoyproc.Process {
	t.Helper()
	p, err := envoyproc.Start(t.Context(), envoyproc.Options{Binary: EnvoyBinary(t), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Err(); err != nil {
			t.Errorf("Envoy ended during the test: %v", err)
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("Envoy's log:\n%s", p.Log())
		}
	})
	return p
}

// Provider starts a stand-in provider on loopback and gives its URL.
func Provider(t testing.TB, o provider.Options) (*provider.Provider, string) {
	t.Helper()
	p := provider.New(o)
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return p, server.URL
}

// Socket gives a path for a Unix socket, short enough for every system, in a directory of the test.
func Socket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pl-") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// Sidecar serves s as the ext_proc server on a Unix socket until the end of the test, and gives the socket's path.
func Sidecar(t testing.TB, s extprocv3.ExternalProcessorServer) string {
	t.Helper()
	socket := Socket(t)
	listener, err := net.Listen("unix", socket) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(envoyconf.DefaultBodyLimit + 1<<20))
	extprocv3.RegisterExternalProcessorServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// WithoutFilter removes the HTTP filter of that name from a configuration. Without ext_proc nothing is governed: that is
// for measuring what Envoy alone costs.
func WithoutFilter(config []byte, name string) ([]byte, error) {
	var tree map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(config)).Decode(&tree); err != nil {
		return nil, err
	}
	if removeFilter(tree, name) == 0 {
		return nil, fmt.Errorf("the configuration has no filter %s", name)
	}
	return yaml.Marshal(tree)
}

func removeFilter(node any, name string) int {
	removed := 0
	switch node := node.(type) {
	case map[string]any:
		if filters, ok := node["http_filters"].([]any); ok {
			kept := filters[:0:0]
			for _, f := range filters {
				if m, ok := f.(map[string]any); ok && m["name"] == name {
					removed++
					continue
				}
				kept = append(kept, f)
			}
			node["http_filters"] = kept
		}
		for _, child := range node {
			removed += removeFilter(child, name)
		}
	case []any:
		for _, child := range node {
			removed += removeFilter(child, name)
		}
	}
	return removed
}
