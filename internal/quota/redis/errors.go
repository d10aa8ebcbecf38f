package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnreachable is what every error is (errors.Is) that comes from a server which did not answer in time or would
	// not do what was asked: away, slow, loading, read-only, full, another password. The operation may have been done or
	// not; a repeat is safe.
	ErrUnreachable = errors.New("quota/redis: Redis cannot be used")
	// ErrEpoch is returned by every operation whose epoch is not in force: nothing was changed.
	ErrEpoch = errors.New("quota/redis: the epoch is not in force")
	// ErrMark is returned by Post when the book's mark is not what was said: nothing was changed.
	ErrMark = errors.New("quota/redis: the book's mark is another one")

	errAnswer = fmt.Errorf("%w: a script's answer has another shape: another version of Plumbline, or not Redis", ErrUnreachable)
)

// advice says what to do about errors of the server, by their first word.
var advice = []struct{ prefix, do string }{
	{"WRONGPASS", "user name and password are not what the server wants: set them right"},
	{"NOAUTH", "the server wants a password: set one"},
	{"ERR Protocol error: unauthenticated", "the server wants a password: set one"},
	{"NOPERM", "the user may not do this: allow it FCALL, FUNCTION, INFO, and all commands on the keys and channels of the namespace"},
	{"READONLY", "this server is a read-only replica: name its primary, or the nodes of the cluster"},
	{"OOM", "the server is out of memory: raise its maxmemory; see docs/explanation/redis.md for how much it takes"},
	{"MISCONF", "the server cannot write to its disk and so refuses writes: free its disk or see its log"},
	{"NOREPLICAS", "too few of the server's replicas are in step (min-replicas-to-write): see to them"},
	{"LOADING", "the server is reading its data: it will be back by itself"},
	{"BUSY", "a script that is not of Plumbline holds up the server: see SCRIPT KILL"},
	{"CLUSTERDOWN", "the cluster is down: see CLUSTER INFO"},
	{"MASTERDOWN", "the server has lost its primary: name the primary"},
	{"CROSSSLOT", "the server spreads keys of one hash tag over slots: it is not a Redis Cluster"},
	{"WRONGTYPE", "a key of the namespace is not of Plumbline: remove it, or give Plumbline a namespace of its own"},
	{"FOREIGN", "a key of the namespace is not of Plumbline: remove it, or give Plumbline a namespace of its own"},
	{"ERR unknown command", "the server lacks a command: Redis 7.0 or later is needed, with functions"},
}

// explain gives an error of the client as one of this package.
func explain(err error) error {
	var network net.Error
	switch {
	case redis.HasErrorPrefix(err, "EPOCH"):
		return ErrEpoch
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w: no answer in time: %w", ErrUnreachable, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	for _, a := range advice {
		if strings.HasPrefix(err.Error(), a.prefix) {
			return fmt.Errorf("%w: %s: %w", ErrUnreachable, a.do, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
