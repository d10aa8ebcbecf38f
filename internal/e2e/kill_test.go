package e2e

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/testkit"
)

// kills is how often the process is killed: 20 times, or PLUMBLINE_KILLS.
func kills(t *testing.T) int {
	t.Helper()
	s := os.Getenv("PLUMBLINE_KILLS")
	if s == "" {
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// binary builds the program as it is shipped.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plumbline")
	build := exec.Command("go", "build", "-o", path, "./cmd/plumbline")
	build.Dir = testkit.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// server is Plumbline as a process of its own, which can be killed.
type server struct {
	t      *testing.T
	binary string
	file   string // its configuration
	dir    string
	socket string
	log    *syncBuffer
}

// newServer seeds a data directory and gives a server on it, and ann's key.
func newServer(t *testing.T) (*server, string) {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := writeFile(t, dir, "config.yaml", "data_dir: "+data+"\nops: {listen: \"127.0.0.1:0\"}\nshutdown: {grace: 2s}\n"+
		"provider: {key: \"file:"+writeFile(t, dir, "key", providerKey)+"\", inject_key: true}\n")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.LoadOptions{Path: file, ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	st, err := app.OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	o, err := app.ParseObjects("objects.yaml", []byte(objects))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Apply(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	key, _, err := app.CreateKey(t.Context(), st, "helpdesk", "ann", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t, binary(t), file, data, cfg.ExtProc.Socket, &syncBuffer{}}, key
}

// start starts the process and returns once it accepts connections.
func (s *server) start() *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(s.binary, "-c", s.file, "serve")
	cmd.Stderr = s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		if c, err := new(net.Dialer).DialContext(ctx, "unix", s.socket); err == nil {
			c.Close()
			return cmd
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			s.t.Fatalf("Plumbline does not serve:\n%s", s.log)
		}
	}
}

// Whatever moment the process is killed at, every answer that a caller got whole has its intent and its outcome, nothing
// is recorded twice, and nothing reached the provider without a record.
func TestKillAtAnyMoment(t *testing.T) {
	upstream, url := testkit.Provider(t, provider.Options{Key: providerKey})
	s, key := newServer(t)
	process := s.start()
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: url, Socket: s.socket})

	ctx, stop := context.WithCancel(t.Context())
	var answered sync.Map
	var whole atomic.Int64
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			body := chatBody("gpt-4o-mini", onTask, map[string]any{"stream": i%2 == 0})
			for ctx.Err() == nil {
				if exchange := wholeAnswer(ctx, envoy.URL, key, body); exchange != "" {
					answered.Store(exchange, true)
					whole.Add(1)
				}
			}
		})
	}
	for range kills(t) {
		wait := time.NewTimer(time.Duration(30+rand.IntN(270)) * time.Millisecond)
		<-wait.C
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait() // it says that it was killed
		process = s.start()
	}
	stop()
	callers.Wait()
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Fatalf("ended with %v:\n%s", err, s.log)
	}
	process = s.start() // closes what the last kill left open
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Fatalf("ended with %v:\n%s", err, s.log)
	}
	checkRecords(t, s.dir, &answered, upstream.Total())
	if whole.Load() < int64(kills(t)) {
		t.Errorf("only %d whole answers: the load was too small to prove anything", whole.Load())
	}
}

// wholeAnswer makes one call and gives its exchange if a 200 was received to its end.
func wholeAnswer(ctx context.Context, url, key, body string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return ""
	}
	req.Header.Set("authorization", "Bearer "+key)
	req.Header.Set("content-type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return res.Header.Get("x-plumbline-request-id")
}

func checkRecords(t *testing.T, dir string, answered *sync.Map, received int64) {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), app.AuditPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Verify(t.Context()); err != nil {
		t.Errorf("the audit does not verify: %v", err)
	}
	intents, outcomes, crashed := map[string]int{}, map[string]int{}, 0
	for q := (audit.Query{Limit: 1000}); ; {
		entries, next, err := r.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			switch e.Record.Kind {
			case core.RecordIntent:
				intents[e.Record.Exchange]++
			case core.RecordOutcome:
				outcomes[e.Record.Exchange]++
				if e.Record.Finish == core.FinishCrashed {
					crashed++
				}
			case core.RecordDeny, core.RecordRefusals, core.RecordAdmin:
			}
		}
		if next == "" {
			break
		}
		q.After = next
	}
	n := 0
	answered.Range(func(exchange, _ any) bool {
		n++
		if id := exchange.(string); intents[id] != 1 || outcomes[id] != 1 {
			t.Errorf("answered exchange %s has %d intents and %d outcomes", id, intents[id], outcomes[id])
		}
		return true
	})
	for id, count := range intents {
		if count != 1 || outcomes[id] != 1 {
			t.Errorf("exchange %s has %d intents and %d outcomes", id, count, outcomes[id])
		}
	}
	if int64(len(intents)) < received {
		t.Errorf("the provider received %d requests, and only %d intents are recorded", received, len(intents))
	}
	t.Logf("%d answered, %d intents, %d closed as crashed, %d received by the provider", n, len(intents), crashed, received)
}
