package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// oldest is the first major version that has functions.
const oldest = 7

// Check looks at the server that holds the keys and returns all that makes it unfit, joined: out of reach, too old, a
// read-only replica, or set up to throw counters away when its memory is full. What is stored is left as it is.
func (l *Ledger) Check(ctx context.Context) error {
	info, err := l.info(ctx)
	if err != nil {
		return explain(err)
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("quota/redis: "+format, args...)) }
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		bad("the server is of version %q: Redis %d.0 or later is needed", info["redis_version"], oldest)
	}
	if role := info["role"]; role != "master" {
		bad("the server is a %s: name its primary, or the nodes of the cluster", role)
	}
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		bad("maxmemory-policy is %s: when its memory is full, the server would throw counters away, and limits would not hold. "+
			"Set it to noeviction", policy)
	}
	return errors.Join(errs...)
}

// info reads INFO of the node that serves the keys.
func (l *Ledger) info(ctx context.Context) (map[string]string, error) {
	node, err := l.node(ctx)
	if err != nil {
		return nil, err
	}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

func (l *Ledger) node(ctx context.Context) (redis.Cmdable, error) {
	if cluster, ok := l.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, l.epochKey())
	}
	return l.client, nil
}
