package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// What the client would write to the standard error, past every log, is in the errors that it returns.
func init() { redis.SetLogger(quiet{}) }

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
