package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// flights is how many batches are on their way at once. More would send smaller ones; with fewer, calls would wait for
	// others where the server is not near.
	flights = 4
	// maxTogether bounds a batch.
	maxTogether = 128
	// maxWaiting bounds the calls that wait for one: what would come behind so many has no answer in the time of a request.
	maxWaiting = 4096
)

// errCrowded is what a call is told that finds too many before it. It was not sent.
var errCrowded = errors.New("too many calls wait for it")

// together sends calls of many callers in one write, and reads their answers in as few: under load most of what a call
// costs both sides is its system calls. A call goes out at once unless as many batches as may be are on their way, else with
// the next.
type together struct {
	// send sends commands in one write, and returns once each has its answer or its error.
	send func(ctx context.Context, commands []*redis.SliceCmd)

	mu      sync.Mutex
	waiting []*call
	flying  int
}

// call is one command of one caller, who may have left.
type call struct {
	ctx  context.Context // the caller's, while it waits
	cmd  *redis.SliceCmd
	done chan struct{} // closed when cmd has its answer
}

// do sends a command and returns once it has its answer or error; or the context's error once that is over, after which the
// command must not be touched.
func (t *together) do(ctx context.Context, cmd *redis.SliceCmd) error {
	c := &call{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	if err := t.queue(c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queue puts a call behind those that wait, and sends what may go. Callers who left make room when there is none.
func (t *together) queue(c *call) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxWaiting {
		t.waiting = slices.DeleteFunc(t.waiting, func(w *call) bool { return w.ctx.Err() != nil })
	}
	if len(t.waiting) >= maxWaiting {
		return errCrowded
	}
	t.waiting = append(t.waiting, c)
	t.depart()
	return nil
}

// depart sends what waits if a batch may fly. The caller holds the lock.
func (t *together) depart() {
	if len(t.waiting) == 0 || t.flying == flights {
		return
	}
	n := min(len(t.waiting), maxTogether)
	batch := t.waiting[:n:n]
	if t.waiting = t.waiting[n:]; len(t.waiting) == 0 {
		t.waiting = nil
	}
	t.flying++
	go t.fly(batch)
}

func (t *together) fly(batch []*call) {
	ctx, cancel := batchContext(batch)
	defer cancel()
	commands := make([]*redis.SliceCmd, 0, len(batch))
	for _, c := range batch {
		if err := c.ctx.Err(); err != nil {
			c.cmd.SetErr(err) // the caller may see that it is done before it sees that its time is over
			continue
		}
		commands = append(commands, c.cmd)
	}
	if len(commands) > 0 {
		t.send(ctx, commands)
	}
	for _, c := range batch {
		close(c.done)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flying--
	t.depart()
}

// inOneWrite sends commands together. Each has its answer or its error then, also where no connection was to be had.
func inOneWrite(ctx context.Context, client redis.UniversalClient, commands []*redis.SliceCmd) {
	pipe := client.Pipeline()
	for _, cmd := range commands {
		_ = pipe.Process(ctx, cmd) // only adds it
	}
	_, err := pipe.Exec(ctx)
	for _, cmd := range commands {
		if err != nil && cmd.Err() == nil && cmd.Val() == nil {
			cmd.SetErr(err)
		}
	}
}

// batchContext lasts as long as the longest of the callers', whoever leaves before.
func batchContext(batch []*call) (context.Context, context.CancelFunc) {
	var last time.Time
	for _, c := range batch {
		end, ok := c.ctx.Deadline()
		if !ok {
			return context.Background(), func() {}
		}
		if end.After(last) {
			last = end
		}
	}
	return context.WithDeadline(context.Background(), last)
}
