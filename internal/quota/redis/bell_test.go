package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

func newBell(t *testing.T, o redis.Options) *redis.Bell {
	t.Helper()
	b, err := redis.NewBell(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// listener hears a bell until its test ends.
func listener(t *testing.T, b *redis.Bell) <-chan struct{} {
	t.Helper()
	heard, ended := make(chan struct{}, 1000), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- b.Listen(ctx, func() { heard <- struct{}{} }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen ended with %v, want context.Canceled", err)
		}
	})
	return heard
}

// rings rings until everybody has heard it: a ring before they listen is heard by nobody.
func rings(t *testing.T, b *redis.Bell, all ...<-chan struct{}) {
	t.Helper()
	for _, heard := range all {
		end := time.After(30 * time.Second)
		for listens := false; !listens; {
			_ = b.Ring(t.Context())
			select {
			case <-heard:
				listens = true
			case <-time.After(20 * time.Millisecond):
			case <-end:
				t.Fatal("nobody heard it")
			}
		}
	}
}

func TestBellIsHeardByAll(t *testing.T) {
	for name, o := range map[string]redis.Options{
		"a server":  {Addrs: []string{redisproc.Start(t).Addr}},
		"a cluster": {Addrs: redisproc.StartCluster(t, 3).Addrs(), Cluster: true},
	} {
		t.Run(name, func(t *testing.T) {
			one, other := newBell(t, o), newBell(t, o)
			rings(t, one, listener(t, one), listener(t, other))
		})
	}
}

// TestBellOfAnotherDeployment: deployments that share a server do not wake each other.
func TestBellOfAnotherDeployment(t *testing.T) {
	server := redisproc.Start(t)
	mine := newBell(t, redis.Options{Addrs: []string{server.Addr}})
	theirs := newBell(t, redis.Options{Addrs: []string{server.Addr}, Namespace: "theirs"})
	heard, heardTheirs := listener(t, mine), listener(t, theirs)
	rings(t, mine, heard)
	rings(t, theirs, heardTheirs)
	for len(heard) > 0 {
		<-heard
	}
	rings(t, theirs, heardTheirs)
	rings(t, mine, heard) // comes after theirs, on the same server
	if n := len(heard); n > 2 {
		t.Errorf("%d rings of another deployment were heard", n)
	}
}

// TestBellWithoutRedis: ringing fails within its time and says what to do, and is heard again when the server is back.
func TestBellWithoutRedis(t *testing.T) {
	server := redisproc.StartTCP(t)
	o := redis.Options{Addrs: []string{server.Addr}}
	b := newBell(t, o)
	heard := listener(t, b)
	rings(t, b, heard)
	ring := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := b.Ring(ctx); !errors.Is(err, redis.ErrUnreachable) {
			t.Errorf("%s: %v, want ErrUnreachable", what, err)
		}
		if took := time.Since(began); took > patient {
			t.Errorf("%s: it took %s", what, took)
		}
	}
	server.Pause()
	ring("a server that hangs")
	server.Resume()
	rings(t, b, heard)
	server.Kill()
	ring("no server")
	server.Restart(t)
	rings(t, b, heard)
}

// TestBellWithoutTheRight: Redis 7 lets a user into no channel unless it is told to.
func TestBellWithoutTheRight(t *testing.T) {
	server := redisproc.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">secret", "~{plumbline}:*", "+@all", "resetchannels")
	o := redis.Options{Addrs: []string{server.Addr}, Username: "app", Password: "secret"}
	b := newBell(t, o)
	heard := listener(t, b)
	if err := b.Ring(t.Context()); !errors.Is(err, redis.ErrUnreachable) {
		t.Errorf("%v, want ErrUnreachable", err)
	}
	server.Do(t, "ACL", "SETUSER", "app", "&{plumbline}:*")
	rings(t, b, heard)
}

func TestBellWithoutAnAddress(t *testing.T) {
	if _, err := redis.NewBell(redis.Options{Namespace: "a{b"}); err == nil {
		t.Error("a bell without a server")
	}
}
