// Package wait is waiting that can be called off. It imports nothing of Plumbline.
package wait

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends, and gives the reason of that.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
