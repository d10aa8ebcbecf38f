package redisproc

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/testkit"
)

// Clock is what a server takes for the time of day.
type Clock struct {
	file string
	at   time.Time // what it was set to
	set  time.Time // when it was
}

// StartWithClock starts a server whose clock begins at a time, runs, and jumps when it is told to. It needs libfaketime, of
// Debian's package faketime.
func StartWithClock(t testing.TB, at time.Time, args ...string) (*Server, *Clock) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(found) == 0 {
		testkit.Missing(t, "libfaketime (tools/apt-install faketime)")
	}
	// libfaketime asks for memory before it is ready, and Redis' own allocator then asks for the time: the C library's does not.
	preload := found[0] + " " + filepath.Join("/lib", filepath.Base(filepath.Dir(filepath.Dir(found[0]))), "libc.so.6")
	dir := socketDir(t)
	c := &Clock{file: filepath.Join(dir, "time")}
	c.Set(t, at)
	s := &Server{dir: dir, Addr: filepath.Join(dir, "redis.sock"), env: []string{
		"LD_PRELOAD=" + preload, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1", "TZ=UTC",
	}}
	s.args = append([]string{"--port", "0", "--unixsocket", s.Addr}, args...)
	s.run(t)
	return s, c
}

// Now is about what the server takes for the time.
func (c *Clock) Now() time.Time { return c.at.Add(time.Since(c.set)) }

// Jump sets the clock ahead, or back.
func (c *Clock) Jump(t testing.TB, d time.Duration) {
	t.Helper()
	c.Set(t, c.Now().Add(d))
}

// Set sets the clock to a time, in whole seconds, from which it runs on.
func (c *Clock) Set(t testing.TB, at time.Time) {
	t.Helper()
	c.at, c.set = at.UTC().Truncate(time.Second), time.Now()
	// libfaketime reads the file at each question. It is whole at every moment.
	next := c.file + ".next"
	if err := os.WriteFile(next, []byte("@"+c.at.Format(time.DateTime)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, c.file); err != nil {
		t.Fatal(err)
	}
}
