package redis

import (
	"sync/atomic"
	"time"
)

// clock estimates the server's time: its last answer, and what has passed here since.
type clock struct {
	given func() time.Time // takes its place, nil for none
	last  atomic.Pointer[reading]
}

type reading struct {
	server time.Time
	here   time.Time // monotonic
}

// set notes the server's time in an answer.
func (c *clock) set(at time.Time) {
	if c.given == nil {
		c.last.Store(&reading{server: at, here: time.Now()})
	}
}

func (c *clock) now() time.Time {
	if c.given != nil {
		return c.given().Truncate(time.Microsecond)
	}
	if r := c.last.Load(); r != nil {
		return r.server.Add(time.Since(r.here))
	}
	return time.Now().UTC()
}

// argument is what scripts are told to take for the time: nothing, but in tests.
func (c *clock) argument() any {
	if c.given == nil {
		return ""
	}
	return c.given().UnixMicro()
}
