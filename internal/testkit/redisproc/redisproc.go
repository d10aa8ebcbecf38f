// Package redisproc starts real Redis servers for tests: one on a Unix socket, or a cluster on free ports of the loopback.
//
// Nothing is kept on disk, and nothing of a server stays behind after its test, also when the test is killed (Linux). A
// missing redis-server fails the test: `make test` installs it. It is for tests and benchmarks only.
package redisproc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plumbline/plumbline/internal/testkit"
)

const (
	// startLimit bounds the wait for a server, or a cluster, that takes commands.
	startLimit = 30 * time.Second
	pollPause  = 2 * time.Millisecond
)

// Server is a running redis-server.
type Server struct {
	// Addr is what clients dial: the path of a socket, or host:port.
	Addr string

	args []string
	env  []string // added to that of this process
	log  testkit.Buffer
	dir  string

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil when stopped
	done chan struct{} // closed when cmd has ended
}

// Start starts a server on a Unix socket and stops it at the end of the test. More arguments go to its command line, such
// as "--maxmemory", "10mb".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	dir := socketDir(t)
	s := &Server{dir: dir, Addr: filepath.Join(dir, "redis.sock")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.Addr}, args...)
	s.run(t)
	return s
}

// Run starts a server on a Unix socket for a program that is no test. Close ends it.
func Run(args ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "redis-") // a short name, as for socketDir
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, Addr: filepath.Join(dir, "redis.sock")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.Addr}, args...)
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("redis-server: %w\n%s", err, s.Log()), os.RemoveAll(dir))
	}
	return s, nil
}

// Close ends the server at once and removes its folder.
func (s *Server) Close() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

// PID is the process id of the server, 0 when it is stopped.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// StartTCP starts a server on a free port of the loopback.
func StartTCP(t testing.TB, args ...string) *Server {
	t.Helper()
	// The port is free now; that somebody takes it first is seen by the start, which tries others.
	for range 5 {
		port := freePort(t)
		s := &Server{dir: socketDir(t), Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
		s.args = append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port)}, args...)
		if err := s.start(); err == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatal("no free port for redis-server")
	return nil
}

// run starts the server, or ends the test with its log.
func (s *Server) run(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("redis-server: %v\n%s", err, s.Log())
	}
	t.Cleanup(s.Kill)
}

func (s *Server) start() error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is missing: run `make test`, which installs it, or tools/apt-install redis-server: %w", err)
	}
	base := []string{
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", s.dir, "--enable-debug-command", "yes",
		"--maxclients", "1000", "--tcp-backlog", "128",
	}
	cmd := exec.CommandContext(context.Background(), binary, append(base, s.args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	if err := s.await(done); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// await returns once the server takes commands, or with what ended it.
func (s *Server) await(done <-chan struct{}) error {
	client := s.Client()
	defer func() { _ = client.Close() }()
	poll := time.NewTicker(pollPause)
	defer poll.Stop()
	limit := time.After(startLimit)
	for {
		err := s.dial()
		if err == nil {
			err = client.Ping(context.Background()).Err()
		}
		if err == nil || redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS") {
			return nil
		}
		select {
		case <-done:
			return errors.New("it ended at once")
		case <-limit:
			return errors.New("it does not take commands")
		case <-poll.C:
		}
	}
}

// dial reports whether the server listens; the client would log that it does not.
func (s *Server) dial() error {
	network := "unix"
	if !filepath.IsAbs(s.Addr) {
		network = "tcp"
	}
	var d net.Dialer
	c, err := d.DialContext(context.Background(), network, s.Addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// Client gives a client of the server that tries everything once. The caller closes it.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true})
}

// Do sends one command and ends the test if it fails.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	client := s.Client()
	defer func() { _ = client.Close() }()
	v, err := client.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Kill ends the server at once. What it held is gone.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.cmd = nil
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-done
	}
}

// Restart ends the server and starts it anew, empty, on the same address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		t.Fatalf("redis-server does not start again: %v\n%s", err, s.Log())
	}
}

// Pause stops the process where it stands, until Resume: it takes connections and does not answer.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Log gives what the server has said.
func (s *Server) Log() string { return s.log.String() }

// socketDir makes a folder of a short name: a socket's path has 108 bytes at most.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
}
