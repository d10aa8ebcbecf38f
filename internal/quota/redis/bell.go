package redis

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// bellTimeout bounds what the bell waits for: who rings or stops listening must not wait long for a silent server.
	bellTimeout = time.Second
	// bellQuiet is how long nothing needs to be heard before the server is asked whether it is there.
	bellQuiet = 3 * time.Second
	// bellPause lies between two attempts to listen.
	bellPause = 500 * time.Millisecond
)

// Bell tells the other processes of a deployment that something has changed, by publishing on one channel. What is said has
// no content, and nothing may rely on it: messages are lost whenever a connection is, and whoever may use the server can
// send any number of them.
type Bell struct {
	client  redis.UniversalClient
	channel string
}

// NewBell makes a bell in the namespace of the options, which need no book. It does not connect.
func NewBell(o Options) (*Bell, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c := o.client()
	c.MaxRetries = -1
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = bellTimeout, bellTimeout, bellTimeout, bellTimeout
	return &Bell{redis.NewUniversalClient(c), o.prefix() + "changed"}, nil
}

// Ring tells everybody who listens. An error wraps ErrUnreachable.
func (b *Bell) Ring(ctx context.Context) error {
	if err := b.client.Publish(ctx, b.channel, "").Err(); err != nil {
		return explain(err)
	}
	return nil
}

// Listen calls heard for each ring until ctx ends, and gives the reason of that. heard must not wait. While the server is
// away, or lets nobody listen, it is tried again and again.
func (b *Bell) Listen(ctx context.Context, heard func()) error {
	for {
		b.subscribe(ctx, heard)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(bellPause):
		}
	}
}

// subscribe hears rings until the connection breaks, is refused, or is silent although it was asked to answer.
func (b *Bell) subscribe(ctx context.Context, heard func()) {
	subscription := b.client.Subscribe(ctx, b.channel)
	defer context.AfterFunc(ctx, func() { _ = subscription.Close() })() // ends the wait for a message, which ctx does not
	defer func() { _ = subscription.Close() }()
	for asked := false; ctx.Err() == nil; {
		message, err := subscription.ReceiveTimeout(ctx, bellQuiet)
		var network net.Error
		switch {
		case err == nil:
			asked = false
		case errors.As(err, &network) && network.Timeout() && !asked:
			asked = true
			err = subscription.Ping(ctx)
		}
		if err != nil {
			return
		}
		if _, rung := message.(*redis.Message); rung {
			heard()
		}
	}
}

// Close gives the connections back.
func (b *Bell) Close() error { return b.client.Close() }
