package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/config"
)

// row is one thing to measure.
type row struct {
	Name string
	// Start starts the ext_proc server below dir, which is empty, and returns once it serves. Nil: Envoy runs without
	// one.
	Start func(ctx context.Context, dir string) (*sidecar, error)
}

// sidecar is a running ext_proc server.
type sidecar struct {
	Socket string
	Pid    int
	// Authorization is what callers send, if they must.
	Authorization string
	// Profile takes a CPU profile of the server for some seconds, if it can.
	Profile func(ctx context.Context, seconds int) ([]byte, error)
	// Stop ends the server and waits for its end.
	Stop func() error
	// ops is the URL of its ops listener, if it has one, and stores what it keeps records and counters in, if that is apart.
	ops    string
	stores *stores
}

// stop ends the server, if there is one.
func (s *sidecar) stop() error {
	if s.Stop == nil {
		return nil
	}
	return s.Stop()
}

// selected gives the rows to measure, in their order. A name with a path, plumbline@/tmp/plumbline, is that row with another
// build of the binary.
func (b *bench) selected() ([]row, error) {
	if len(b.o.rows) == 0 {
		return b.rows(), nil
	}
	var some []row
	for _, name := range b.o.rows {
		kind, binary, other := strings.Cut(name, "@")
		from := b
		if other {
			copied := *b
			copied.plumbline, from = binary, &copied
		}
		all := from.rows()
		i := slices.IndexFunc(all, func(r row) bool { return r.Name == kind })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q", name)
		}
		some = append(some, row{name, all[i].Start})
	}
	return some, nil
}

// rows are all rows, in the order of the table.
func (b *bench) rows() []row {
	return []row{
		{Name: "bare"},
		{Name: "noop", Start: b.startNoop},
		{Name: "plumbline", Start: b.startPlumbline(config.DurabilityCrashSafe)},
		{Name: "plumbline-strict", Start: b.startPlumbline(config.DurabilityStrict)},
		{Name: "plumbline-production", Start: b.startProduction},
	}
}

// build compiles a command of this module to a file below the bench's directory.
func (b *bench) build(ctx context.Context, command string) (string, error) {
	binary := filepath.Join(b.dir, filepath.Base(command))
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, command).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", command, err, out)
	}
	return binary, nil
}

func (b *bench) startNoop(ctx context.Context, dir string) (*sidecar, error) {
	socket := filepath.Join(dir, "s")
	p, err := startProcess(exec.Command(b.noop, "--socket", socket), nil, os.Stderr) //nolint:noctx // Stop ends it
	if err != nil {
		return nil, err
	}
	if err := awaitSocket(ctx, socket, p.done); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return &sidecar{Socket: socket, Pid: p.cmd.Process.Pid, Stop: p.stop}, nil
}

// process is a child that is ended by SIGTERM.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startProcess starts a child whose standard output and errors go to out and problems.
func startProcess(cmd *exec.Cmd, out, problems io.Writer) (*process, error) {
	cmd.Stdout, cmd.Stderr = out, problems
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stopGrace is how long a child may take to end. Plumbline takes 10 s at the most once its last exchange has ended; more is
// for the loaded machine. quitGrace is how long it may then take to say where it hangs.
const stopGrace, quitGrace = 30 * time.Second, 5 * time.Second

// stop ends the child. One that does not end is asked where it stands, which goes to where its errors go, and killed.
func (p *process) stop() error {
	if p.ends(syscall.SIGTERM, stopGrace) {
		return p.err
	}
	if !p.ends(syscall.SIGQUIT, quitGrace) {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return fmt.Errorf("%s did not end within %v and had to be killed", p.cmd.Path, stopGrace)
}

// ends sends the child a signal and reports whether it ends within a time.
func (p *process) ends(sig os.Signal, within time.Duration) bool {
	_ = p.cmd.Process.Signal(sig) // an error means that it has ended, and done says so
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// awaitSocket returns once somebody accepts connections on a Unix socket.
func awaitSocket(ctx context.Context, socket string, ended <-chan struct{}) error {
	return await(ctx, ended, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// await returns once ready reports no error. Looking again and again is all there is to wait for.
func await(ctx context.Context, ended <-chan struct{}, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("the server ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("the server does not become ready: %w", err)
		}
	}
}

// firstLine waits for the first line that a child prints.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	return strings.TrimSpace(line), err
}
