package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/plumbline/plumbline/internal/demo/provider"
)

// providerCommand has this program be the provider, so that its CPU time is not the load generator's.
const providerCommand = "provider"

// An event stream has streamWords chunks, one each chunkPause, so that all streams are open together for most of a run.
// Other answers are limited to answerWords by the request, about 0.7 kB.
const (
	streamWords = 200
	answerWords = 70
	chunkPause  = 20 * time.Millisecond
)

// serveProvider serves the stand-in and prints its URL.
func serveProvider(ctx context.Context, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           provider.New(provider.Options{Words: streamWords, ChunkPause: chunkPause}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Fprintln(out, "http://"+listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// startProvider starts the provider as a process of its own and gives its URL.
func startProvider() (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	cmd := exec.Command(self, providerCommand) //nolint:noctx // stop ends it
	// The provider shares the cores with what is measured: this takes a third of its CPU time away.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
	p, err := startProcess(cmd, w, os.Stderr)
	w.Close() // the child has its own
	if err != nil {
		return nil, "", err
	}
	url, err := firstLine(r)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the provider does not start: %w", err), p.stop())
	}
	return p, url, nil
}
