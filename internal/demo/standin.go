package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/demo/provider"
)

// standIn is the provider of a demo without one.
type standIn struct{ url, key string }

// chunkPause is how long the stand-in takes between two pieces of a stream, so that a stream can be seen as one.
const chunkPause = time.Millisecond

// startProvider serves the stand-in on a port that the kernel chooses, until ctx ends. Its key is new each time.
func startProvider(ctx context.Context, group *errgroup.Group) (*standIn, error) {
	var config net.ListenConfig
	lis, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the stand-in provider: %w", err)
	}
	s := &standIn{url: "http://" + lis.Addr().String(), key: "sk-standin-" + rand.Text()}
	server := &http.Server{
		Handler:           provider.New(provider.Options{Key: s.key, Behaviours: true, ChunkPause: chunkPause}),
		ReadHeaderTimeout: 5 * time.Second,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	group.Go(func() error { return ignoreEnd(server.Serve(lis)) })
	return s, nil
}
