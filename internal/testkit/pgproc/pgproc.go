// Package pgproc starts real Postgres clusters for tests: private ones, in a temporary folder, on a Unix socket.
//
// A test program makes its cluster files once (initdb) and shares one running server, unless a test asks for one of its
// own to stop or break. A database of migrations is made once and copied for each test. Nothing stays behind, also when
// the test program is killed. Missing binaries fail the test: `make test` installs them. It is for tests and benchmarks only.
//
// The superuser `postgres` is let in without a password, everybody else needs one: so a test of a wrong password is real.
package pgproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// startLimit bounds the wait for a server that answers, or that has ended.
	startLimit = 60 * time.Second
	pollPause  = 5 * time.Millisecond
)

// Options say how a server runs.
type Options struct {
	// Fsync has commits reach the disk, which is slow and which a test of power loss needs.
	Fsync bool
	// Settings are lines of postgresql.conf, such as "max_connections = 5".
	Settings []string
}

// Server is a running Postgres.
type Server struct {
	home      *home
	dir       string // data/, the socket and the log
	mu        sync.Mutex
	keeper    *exec.Cmd // the shell whose child the server is; nil when stopped
	lifeline  io.Closer // ends the server when closed
	pid       int       // of the postmaster
	templates map[string]func() error
	databases int
}

var shared = struct {
	sync.Mutex
	server *Server
}{}

// Shared gives the server that the tests of this program share: without fsync, for as long as the program runs.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := newServer(Options{})
		if err != nil {
			t.Fatalf("postgres: %v", err)
		}
		shared.server = s
	}
	return shared.server
}

// Start starts a server of the test's own and ends it with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := newServer(o)
	if err != nil {
		t.Fatalf("postgres: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Run starts a server for a program that is no test. Close ends it.
func Run(o Options) (*Server, error) { return newServer(o) }

// Close ends the server at once and removes what it had.
func (s *Server) Close() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

func newServer(o Options) (*Server, error) {
	h, err := sharedHome()
	if err != nil {
		return nil, err
	}
	s := &Server{home: h, templates: map[string]func() error{}}
	if s.dir, err = h.copyCluster(o); err != nil {
		return nil, err
	}
	return s, s.start()
}

// keep is the shell program that runs a server until its standard input ends, which it does when the test program does.
const keep = `"$1" -D "$2/data" >>"$2/log" 2>&1 </dev/null &
echo $! >"$2/pid.new" && mv "$2/pid.new" "$2/pid"
cat >/dev/null
kill -CONT $! 2>/dev/null; kill -QUIT $! 2>/dev/null
wait $!`

func (s *Server) start() error {
	_ = os.Remove(filepath.Join(s.dir, "pid"))
	cmd := s.home.command("/bin/sh", "-c", keep, "keep", filepath.Join(s.home.binaries, "postgres"), s.dir)
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.keeper, s.lifeline = cmd, lifeline
	s.mu.Unlock()
	if err := s.await(); err != nil {
		s.Kill()
		return fmt.Errorf("%w\n%s", err, s.Log())
	}
	return nil
}

// await returns once the server answers.
func (s *Server) await() error {
	var err error
	for end := time.Now().Add(startLimit); time.Now().Before(end); <-time.After(pollPause) {
		if pid, known := s.readPID(); !known {
			continue
		} else if !alive(pid) {
			return errors.New("it ended at once")
		}
		var c *pgx.Conn
		if c, err = pgx.Connect(context.Background(), s.url("postgres", "postgres", "")); err == nil {
			return c.Close(context.Background())
		}
	}
	return fmt.Errorf("it does not answer: %w", err)
}

func (s *Server) readPID() (int, bool) {
	text, err := os.ReadFile(filepath.Join(s.dir, "pid"))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
	return pid, true
}

// Start starts a stopped or killed server again, on the same socket and with what it had.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	// What a killed server leaves keeps its memory for a moment, in which another one refuses to start.
	var err error
	for end := time.Now().Add(startLimit); time.Now().Before(end); <-time.After(20 * pollPause) {
		if err = s.start(); err == nil {
			return
		}
	}
	t.Fatalf("postgres does not start again: %v", err)
}

// Stop ends the server in order and cuts its connections.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	keeper, lifeline, pid := s.keeper, s.lifeline, s.pid
	s.keeper, s.pid = nil, 0
	s.mu.Unlock()
	if keeper == nil {
		return
	}
	if pid != 0 {
		s.signal(pid, syscall.SIGCONT)
		if sig == syscall.SIGKILL {
			s.signal(pid, sig) // with those of its children that would go on for a moment
		} else {
			_ = syscall.Kill(pid, sig)
		}
		for end := time.Now().Add(startLimit); alive(pid) && time.Now().Before(end); <-time.After(pollPause) {
			continue
		}
	}
	_ = lifeline.Close()
	_ = keeper.Wait()
}

// Pause stops every process of the server where it stands, until Resume: it takes connections and does not answer.
func (s *Server) Pause() { s.signal(s.PID(), syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(s.PID(), syscall.SIGCONT) }

// PID is the process id of the server, 0 when it is stopped.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// signal reaches the server and its children, the server first: it would start new ones.
func (s *Server) signal(pid int, sig syscall.Signal) {
	if pid == 0 {
		return
	}
	children := childrenOf(pid)
	_ = syscall.Kill(pid, sig)
	for _, child := range append(children, childrenOf(pid)...) {
		_ = syscall.Kill(child, sig)
	}
}

// Standby restarts the server as a standby whose primary is gone: it answers, and refuses to write.
func (s *Server) Standby(t testing.TB) {
	t.Helper()
	s.Stop()
	if err := os.WriteFile(filepath.Join(s.dir, "data", "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.home.own(filepath.Join(s.dir, "data", "standby.signal")); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
}

// Promote makes a standby a primary again.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Exec(t, "SELECT pg_promote()")
}

// Log gives what the server has said.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// alive reports whether a process runs; one that ended and was not waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	_, state, ok := stat(pid)
	return !ok || state != "Z"
}

// childrenOf lists the processes that pid started, on systems with /proc.
func childrenOf(pid int) (all []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, _, ok := stat(child); ok && parent == pid {
			all = append(all, child)
		}
	}
	return all
}

// stat reads a process's parent and state from /proc.
func stat(pid int) (parent int, state string, ok bool) {
	fields := statFields(pid)
	if len(fields) < 2 {
		return 0, "", false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, fields[0], err == nil
}

// statFields are the fields of proc_pid_stat(5) from the third on, none when there is no such process.
func statFields(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The name, in brackets, may hold anything.
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// clockTick is the unit of the times in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU is the CPU time that the server has used since its start, with its children that run or have ended; 0 on systems
// without /proc.
func (s *Server) CPU() time.Duration {
	pid := s.PID()
	if pid == 0 {
		return 0
	}
	used := ticks(pid, 11, 15) // utime, stime and those of ended children
	for _, child := range childrenOf(pid) {
		used += ticks(child, 11, 13)
	}
	return time.Duration(used) * clockTick
}

// ticks adds the fields from up to, but not including, to, as statFields counts them.
func ticks(pid, from, to int) (sum int64) {
	fields := statFields(pid)
	if len(fields) < to {
		return 0
	}
	for _, field := range fields[from:to] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		sum += n
	}
	return sum
}
