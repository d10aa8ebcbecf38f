package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what is to come. All of it takes a second or two on an idle machine.
const patience = 60 * time.Second

// started is a demo that runs in the test's process.
type started struct {
	t         *testing.T
	out, talk *recorder
	stop      context.CancelFunc
	ended     chan error
	temp      string // the directory for temporary files, of this demo alone
}

// startDemo starts a demo on a port that the kernel chooses.
func startDemo(t *testing.T, o Options) *started {
	t.Helper()
	o.Envoy = testkit.EnvoyBinary(t)
	temp, err := os.MkdirTemp("", "pl-") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	s := &started{t: t, out: newRecorder(), talk: newRecorder(), ended: make(chan error, 1), temp: temp}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	o.Out, o.Talk, o.Log = s.out, s.talk, slog.New(slog.NewTextHandler(s.talk, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	t.Cleanup(func() { os.RemoveAll(temp) })
	t.Cleanup(stop)
	go func() { s.ended <- Run(ctx, o) }()
	return s
}

// end waits for the end and checks that nothing stays behind.
func (s *started) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if left, _ := os.ReadDir(s.temp); len(left) > 0 {
			s.t.Errorf("%v stays behind", left)
		}
		if pids := children(s.t); len(pids) > 0 {
			s.t.Errorf("the processes %v stay behind", pids)
		}
		return err
	case <-time.After(patience):
		s.t.Fatalf("the demo does not end; it wrote\n%s\n%s", s.out, s.talk)
		return nil
	}
}

// children are the processes that this one has started and that have not ended.
func children(t *testing.T) []int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // pid (name) state ppid …
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// recorder keeps what is written and says when something is.
type recorder struct {
	mu      sync.Mutex
	buffer  bytes.Buffer
	written chan struct{}
}

func newRecorder() *recorder { return &recorder{written: make(chan struct{}, 1)} }

func (r *recorder) Write(data []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.written <- struct{}{}:
	default:
	}
	return r.buffer.Write(data)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.String()
}

// await waits until text was written.
func (s *started) await(r *recorder, text string) {
	s.t.Helper()
	late := time.After(patience)
	for !strings.Contains(r.String(), text) {
		select {
		case <-r.written:
		case err := <-s.ended:
			s.t.Fatalf("the demo ended with %v before it wrote %q", err, text)
		case <-late:
			s.t.Fatalf("%q is never written; what is:\n%s", text, r)
		}
	}
}

// awaitReady waits for the ready file.
func (s *started) awaitReady(path string) Ready {
	s.t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	late := time.After(patience)
	for {
		var ready Ready
		if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &ready) == nil {
			return ready
		}
		select {
		case <-poll.C:
		case err := <-s.ended:
			s.t.Fatalf("the demo ended with %v before it was ready", err)
		case <-late:
			s.t.Fatal("the ready file is never written")
		}
	}
}

// Every exchange of the tour ends as it should, in the audit too, and nobody finds a credential in what was printed.
func TestTour(t *testing.T) {
	s := startDemo(t, Options{Tour: true})
	if err := s.end(); err != nil {
		t.Error(err)
	}
	stops := len((&running{}).stops())
	if want := fmt.Sprintf("tour: %d passed, 0 failed\n", stops); !strings.HasSuffix(s.out.String(), want) {
		t.Errorf("want %q at the end of\n%s\n%s", want, s.out, s.talk)
	}
	if lines := strings.Count(s.out.String(), "\n"); lines != stops+2 {
		t.Errorf("%d lines for a header, %d stops and a sum:\n%s", lines, stops, s.out)
	}
	for _, secret := range []string{"pl_", "eyJ", "sk-"} {
		if strings.Contains(s.out.String()+s.talk.String(), secret) {
			t.Errorf("%s… is printed:\n%s\n%s", secret, s.out, s.talk)
		}
	}
}

// A tour in which something does not end as it should says what, and the demo fails.
func TestFailedTour(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("version: 1\nmode: enforce\nmodels: {allow: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, Options{Tour: true, Policy: policy})
	if err := s.end(); !errors.Is(err, ErrTour) {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{"FAILED: the status is 403, not 200", "FAILED: the audit's reason is model_not_allowed, not none"} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, s.out)
		}
	}
}

// Other programs start a demo, wait for its ready file and use it. It stays up until it is stopped.
func TestReadyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ready.json")
	if err := os.WriteFile(path, []byte(`{"base_url": "http://of.a.demo.that.was.killed"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, Options{Stay: true, ReadyFile: path})
	s.await(s.talk, "Following live traffic")
	ready := s.awaitReady(path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with credentials has mode %v, %v", info.Mode(), err)
	}
	for _, who := range []string{"billing-agent", "data-analyst", "travel-agent", "nightly-report"} {
		if ready.Tokens[who] == "" {
			t.Errorf("it has no token for %s", who)
		}
	}
	ask := call{Method: "POST", Path: chatPath, Credentials: []string{ready.Tokens["billing-agent"]}, Body: chat(model, onTask, nil)}
	answer, err := ask.do(t.Context(), ready.BaseURL)
	if err != nil || answer.Status != http.StatusOK {
		t.Errorf("a call got %+v, %v", answer, err)
	}
	metrics, err := call{Method: "GET"}.do(t.Context(), ready.MetricsURL)
	if err != nil || !strings.Contains(metrics.Body, `plumbline_requests_total{endpoint="chat.completions",model="gpt-4o-mini",reason="none",verdict="allow"} 1`) {
		t.Errorf("the metrics do not count the call (%v):\n%s", err, metrics.Body)
	}
	if _, err := os.Stat(filepath.Join(ready.DataDir, "audit.db")); err != nil {
		t.Error(err)
	}
	s.await(s.out, "complete")
	if line := s.out.String(); !strings.Contains(line, "billing-agent") || !strings.Contains(line, "chat.completions gpt-4o-mini") {
		t.Errorf("live traffic is shown as\n%s", line)
	}
	s.stop()
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the ready file stays behind")
	}
}

// Whoever is stopped in the middle of the tour has not passed it.
func TestStoppedInTheMiddleOfTheTour(t *testing.T) {
	s := startDemo(t, Options{Tour: true})
	s.await(s.out, "a churn query")
	s.stop()
	if err := s.end(); !errors.Is(err, ErrStopped) {
		t.Errorf("it ended with %v", err)
	}
	if out := s.out.String(); strings.Contains(out, "passed") || strings.Contains(out, "FAILED") {
		t.Errorf("it judges a tour that was stopped:\n%s", out)
	}
}

func TestStoppedBeforeItIsUp(t *testing.T) {
	s := startDemo(t, Options{Tour: true})
	s.stop()
	if err := s.end(); !errors.Is(err, ErrStopped) {
		t.Errorf("it ended with %v", err)
	}
}

// A demo whose Envoy dies ends, and says so.
func TestEnvoyEnds(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("finds Envoy by /proc")
	}
	s := startDemo(t, Options{Stay: true})
	s.await(s.talk, "Following live traffic")
	for _, pid := range children(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if err := s.end(); err == nil || !strings.Contains(err.Error(), "the Envoy of the demo ended") {
		t.Errorf("it ended with %v", err)
	}
}

// Data that a person wants to keep is kept, and readable by them alone.
func TestDataDirIsKept(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Rel(here, filepath.Join(t.TempDir(), "kept"))
	if err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, Options{DataDir: dir})
	if err := s.end(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"audit.db", "plumbline.db", "policy.yaml"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// A port that is taken is named before anything is started, with what to do.
func TestPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := startDemo(t, Options{Tour: true, Listen: taken.Addr().String()})
	err = s.end()
	for _, want := range []string{taken.Addr().String(), "in use", "--listen 127.0.0.1:PORT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if s.out.String() != "" {
		t.Errorf("it printed %s", s.out)
	}
}

// An upstream of the user's takes the place of the stand-in, and gets the key from the file that they name.
func TestUpstream(t *testing.T) {
	seen := make(chan http.Header, 1)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[]}`)
	})}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(lis) }()
	defer server.Close()
	dir := t.TempDir()
	key, path := filepath.Join(dir, "key"), filepath.Join(dir, "ready.json")
	if err := os.WriteFile(key, []byte("sk-theirs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDemo(t, Options{Stay: true, Upstream: "http://" + lis.Addr().String(), UpstreamKey: key, ReadyFile: path})
	ready := s.awaitReady(path)
	models := call{Method: "GET", Path: "/models", Credentials: []string{ready.Tokens["billing-agent"]}}
	if r, err := models.do(t.Context(), ready.BaseURL); err != nil || r.Status != http.StatusOK {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := (<-seen).Get("Authorization"); got != "Bearer sk-theirs" {
		t.Errorf("the provider got the credential %q", got)
	}
	s.stop()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}
