// Package envoyproc finds, starts and stops a real Envoy as a child process: for the demo, the tests and the benchmark.
//
// Contract: Start returns once Envoy listens, or says why it does not; nothing of a stopped process stays behind, also
// when this program is killed (Linux). The configuration's own admin address is replaced by a Unix socket in a private
// directory.
//
// It imports nothing of Plumbline and no third-party library. What Envoy is told to do is envoyconf's business.
package envoyproc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	// startLimit bounds the wait for a listening Envoy. It takes well under a second on an idle machine.
	startLimit = 30 * time.Second
	// defaultStopGrace leaves an Envoy on a busy machine time to write its access log.
	defaultStopGrace = 5 * time.Second
	// firstPoll and lastPoll bound the pauses between two looks at a starting Envoy.
	firstPoll = 5 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
	// adminReplyLimit bounds what is read of one admin reply.
	adminReplyLimit = 8 << 20
)

// Options say what to start.
type Options struct {
	// Binary is Envoy's path; see Find.
	Binary string
	// Config is the bootstrap as YAML or JSON; see envoyconf.
	Config []byte
	// LogTo receives Envoy's log and what its access log writes to /dev/stdout. Nil: nobody reads them.
	LogTo io.Writer
	// LogLevel is Envoy's (warning when empty).
	LogLevel string
	// Concurrency is the number of worker threads, 1 when not positive.
	Concurrency int
	// StopGrace is how long Envoy may take to end by itself after it was asked to, 5s when 0.
	StopGrace time.Duration
}

// Process is a running Envoy. It is safe for concurrent use.
type Process struct {
	cmd       *exec.Cmd
	dir       string
	admin     *http.Client
	log       *tail
	listeners map[string]string
	grace     time.Duration
	done      chan struct{} // closed when the process has ended and err is set
	err       error
}

// InUseError says that an address that Envoy was to listen on is taken.
type InUseError struct{ Address string }

// Error says which address it is and what to do.
func (e *InUseError) Error() string {
	return fmt.Sprintf("Envoy cannot listen on %s: the port is in use. Stop the program that holds it, or choose another port.", e.Address)
}

// Start starts Envoy and returns once it serves its listeners. The error is an *InUseError when a port is taken. When
// ctx ends before that, the process is ended again; afterwards ctx has no meaning, and Stop ends it.
func Start(ctx context.Context, o Options) (*Process, error) {
	dir, err := privateDir()
	if err != nil {
		return nil, err
	}
	p := &Process{dir: dir, log: &tail{to: o.LogTo}, grace: cmp.Or(o.StopGrace, defaultStopGrace), done: make(chan struct{})}
	socket := filepath.Join(dir, "admin.sock")
	p.admin = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	if err := p.start(o, socket); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// privateDir makes a directory in which a socket's path stays below the 104 bytes that every system allows.
func privateDir() (string, error) {
	parent := os.TempDir()
	if len(parent) > 60 {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, "envoy-")
}

func (p *Process) start(o Options, socket string) error {
	config := filepath.Join(p.dir, "envoy.yaml") // JSON is YAML
	if err := os.WriteFile(config, o.Config, 0o600); err != nil {
		return err
	}
	admin, err := json.Marshal(map[string]any{"admin": map[string]any{"address": map[string]any{
		"pipe": map[string]any{"path": socket, "mode": 0o600},
	}}})
	if err != nil {
		return err
	}
	level := o.LogLevel
	if level == "" {
		level = "warning"
	}
	p.cmd = exec.Command(o.Binary, //nolint:noctx // the process outlives Start's context; Stop ends it
		"--config-path", config,
		"--config-yaml", string(admin),
		"--disable-hot-restart", // several Envoys may run on one machine
		"--concurrency", strconv.Itoa(max(o.Concurrency, 1)),
		"--log-level", level,
		"--file-flush-interval-msec", "200", // of the access log
	)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		// The kernel ends a child when the thread that started it ends, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting Envoy: %w", err)
	}
	return nil
}

// awaitReady looks at the admin socket, with growing pauses, until Envoy serves, has ended, or ctx ends.
func (p *Process) awaitReady(ctx context.Context) error {
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		if _, err := p.Admin(ctx, http.MethodGet, "/ready"); err == nil {
			return p.readListeners(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-p.done:
			timer.Stop()
			return p.startError()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("Envoy is not ready: %w\n%s", context.Cause(ctx), p.log.last())
		case <-timer.C:
		}
	}
}

// startError says why an Envoy that has ended did not start.
func (p *Process) startError() error {
	if m := bindFailure.FindSubmatch(p.log.last()); m != nil {
		return &InUseError{Address: string(m[1])}
	}
	return fmt.Errorf("Envoy ended while it started: %w\n%s", p.err, p.log.last())
}

func (p *Process) readListeners(ctx context.Context) error {
	reply, err := p.Admin(ctx, http.MethodGet, "/listeners?format=json")
	if err != nil {
		return err
	}
	var found struct {
		Statuses []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(reply, &found); err != nil {
		return fmt.Errorf("reading Envoy's listeners: %w", err)
	}
	p.listeners = make(map[string]string, len(found.Statuses))
	for _, l := range found.Statuses {
		p.listeners[l.Name] = net.JoinHostPort(l.Address.Socket.Address, strconv.Itoa(l.Address.Socket.Port))
	}
	return nil
}

// Address is where the named listener listens, with the port that the kernel chose when the configuration left it open.
// It is empty when there is no such listener.
func (p *Process) Address(listener string) string { return p.listeners[listener] }

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended, for whatever cause.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended: nil while it runs and when it ended because it was told to.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Log gives the end of Envoy's log.
func (p *Process) Log() []byte { return p.log.last() }

// Admin asks Envoy's admin interface and gives the reply's body. Any status but 200 is an error.
func (p *Process) Admin(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := p.admin.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, adminReplyLimit))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Envoy's admin interface answers %s to %s", resp.Status, path)
	}
	return body, nil
}

// Stop ends the process, by force when it does not end by itself, and removes its files. It may be called repeatedly.
func (p *Process) Stop() error {
	// An error means that the process has ended already; done says so in any case.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(p.grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.admin.CloseIdleConnections()
	return os.RemoveAll(p.dir)
}

// Validate has Envoy check a configuration without running it. The error quotes what Envoy says.
func Validate(ctx context.Context, binary string, config []byte) error {
	dir, err := privateDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "--mode", "validate", "--config-path", file, "--log-level", "warning")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("Envoy refuses the configuration: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}
