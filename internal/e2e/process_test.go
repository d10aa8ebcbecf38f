package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit"
)

// built is the program as it is shipped, once for all tests of a run.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopDrivers(); err != nil {
		fmt.Fprintln(os.Stderr, "an SDK's driver:", err)
		code = 1
	}
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary is the path of the program.
func binary(t testing.TB) string {
	t.Helper()
	root := testkit.Root(t)
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "plumbline-"); built.err != nil { //nolint:usetesting // outlives the test that builds it
			return
		}
		build := exec.Command("go", "build", "-o", filepath.Join(built.dir, "plumbline"), "./cmd/plumbline")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "plumbline")
}

// server is a world whose Plumbline is a process of its own, which can be stopped and killed.
type server struct {
	*world
	args    []string // of every command: where its configuration is
	process *process // the latest
}

// serve seeds a data directory and starts the program on it, with a real Envoy in front.
func serve(t testing.TB, s setup) *server {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := writeFile(t, dir, "config.yaml", "data_dir: "+data+"\n"+
		"ops: {listen: \"127.0.0.1:0\"}\n"+
		"policy: {file: "+writeFile(t, dir, "policy.yaml", allowAll)+"}\n"+
		"prices: {unknown_input: 1000000, unknown_output: 2000000}\n"+
		"provider: {key: \"file:"+writeFile(t, dir, "key", providerKey)+"\", inject_key: true}\n"+s.config)
	must(t, os.Mkdir(data, 0o700))
	cfg, _, err := config.Load(config.LoadOptions{Path: file, Flags: s.settings, ReadFile: os.ReadFile})
	must(t, err)
	w := &world{t: t, cfg: cfg, log: &testkit.Buffer{}, upstream: s.upstream}
	w.key = seed(t, cfg, s.objects)
	if w.upstream == "" {
		s.provider.Key, s.provider.Behaviours = providerKey, true
		w.provider, w.upstream = testkit.Provider(t, s.provider)
	}
	p := &server{world: w, args: []string{"-c", file}}
	for name, value := range s.settings {
		p.args = append(p.args, "--set", name+"="+value)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Plumbline's log:\n%s", w.log)
		}
	})
	p.start()
	s.envoy.Upstream, s.envoy.Socket = w.upstream, cfg.ExtProc.Socket
	w.envoy = testkit.StartEnvoy(t, s.envoy)
	w.audit, err = audit.OpenReader(t.Context(), app.AuditPath(data))
	must(t, err)
	t.Cleanup(func() { w.audit.Close() })
	return p
}

// seed fills the control data before anything serves, and gives ann's key.
func seed(t testing.TB, cfg config.Config, file string) string {
	t.Helper()
	if file == "" {
		file = objects
	}
	ctx := store.WithActor(t.Context(), "test")
	st, err := app.OpenStore(ctx, cfg)
	must(t, err)
	defer st.Close()
	o, err := app.ParseObjects("objects.yaml", []byte(file))
	must(t, err)
	must(t, st.Apply(ctx, o))
	key, _, err := app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(t, err)
	return key
}

// command is the program with arguments. Of the environment it gets nothing that it would take for a setting.
func (s *server) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary(s.t), append(append([]string(nil), s.args...), args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PLUMBLINE_") })
	return cmd
}

// run runs a command beside the server and gives what it prints.
func (s *server) run(args ...string) string {
	s.t.Helper()
	out, talk, code := s.try(args...)
	if code != 0 {
		s.t.Fatalf("plumbline %v: exit status %d: %s", args, code, talk)
	}
	return out
}

// try runs a command that may fail.
func (s *server) try(args ...string) (out, talk string, code int) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		s.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// start starts the program and returns once it accepts connections.
func (s *server) start() {
	s.t.Helper()
	cmd := s.command("serve")
	cmd.Stderr = s.log
	s.process = launch(s.t, cmd)
	eventually(s.t, "Plumbline serves", func() bool {
		c, err := net.Dial("unix", s.cfg.ExtProc.Socket)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// process is a program that runs until it is told to end, at the latest by the end of the test.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	ended chan error
}

func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	must(t, cmd.Start())
	p := &process{t: t, cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if cmd.Process.Kill() == nil { // it is an error for one that has ended
			<-p.ended
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	must(p.t, p.cmd.Process.Kill())
	if err := p.wait(); err == nil {
		p.t.Fatal("it ended in order before it was killed")
	}
}

// terminate asks it to end, as a service manager does.
func (p *process) terminate() {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
}

// wait waits until it has ended, and says how.
func (p *process) wait() error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), patience)
	defer cancel()
	select {
	case err := <-p.ended:
		return err
	case <-ctx.Done():
		p.t.Fatalf("it has not ended in %v", patience)
		return nil
	}
}

// stop ends it in order: its exit status must be 0.
func (p *process) stop() {
	p.t.Helper()
	p.terminate()
	if err := p.wait(); err != nil {
		p.t.Fatalf("it ended with %v", err)
	}
}
