// Package e2e proves Plumbline's promises from outside: callers, a real Envoy, the whole service, a stand-in provider.
package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/testkit"
)

// providerKey is the key that the provider takes. No caller, log, metric or record may ever hold it.
const providerKey = "sk-provider-key-that-must-never-leak"

// objects are the people, work and limits of every world.
const objects = `
teams:
  - {id: support}
users:
  - {id: ann, team: support}
  - {id: ben, team: support}
apps:
  - {id: helpdesk, team: support}
tasks:
  - id: billing
    title: Resolve billing disputes of credit card customers
    description: Answer customers who question a charge on their credit card bill and arrange refunds.
    topics: [customer disputes a charge on the credit card statement, refund for a double or wrong charge, explain a fee on a bill]
    users: [ann, ben]
`

// onTask is a prompt of the task.
const onTask = "A customer disputes a double charge on her credit card bill. Explain how the refund works."

// world is a running Plumbline with everything around it.
type world struct {
	t        testing.TB
	app      *app.App
	cfg      config.Config
	envoy    *testkit.Envoy
	provider *provider.Provider
	audit    *audit.Reader
	log      *testkit.Buffer
	key      string      // ann's app key
	upstream string      // the provider's URL
	client   *tls.Config // how callers connect, nil for without TLS
	stop     func()      // stops Plumbline, once; the end of the test does
}

// setup says how a world differs from the ordinary one.
type setup struct {
	policy   string
	objects  string // in place of the ordinary ones
	settings map[string]string
	config   string // a configuration file's content, below the settings
	provider provider.Options
	upstream string // in place of the stand-in
	envoy    envoyconf.Options
}

const allowAll = "version: 1\nmode: enforce\n"

// start builds a world and takes it down at the end of the test.
func start(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, log: &testkit.Buffer{}}
	dir := t.TempDir()
	s.provider.Key, s.provider.Behaviours = providerKey, true
	if s.provider.Keep == 0 {
		s.provider.Keep = 100
	}
	upstream := s.upstream
	if upstream == "" {
		w.provider, upstream = testkit.Provider(t, s.provider)
	}
	w.upstream = upstream
	w.cfg = w.config(dir, s)
	w.serve(s)
	s.envoy.Upstream, s.envoy.Socket = upstream, w.app.Socket()
	if s.envoy.MessageTimeout == 0 {
		s.envoy.MessageTimeout = w.cfg.ExtProc.MessageTimeout
	}
	if s.envoy.BodyLimit == 0 {
		s.envoy.BodyLimit = int64(w.cfg.ExtProc.MaxBody)
	}
	w.envoy = testkit.StartEnvoy(t, s.envoy)
	return w
}

// in gives the same world to a subtest.
func (w *world) in(t testing.TB) *world {
	shared := *w
	shared.t = t
	return &shared
}

func (w *world) config(dir string, s setup) config.Config {
	w.t.Helper()
	if s.policy == "" {
		s.policy = allowAll
	}
	flags := map[string]string{
		"data_dir":              dir,
		"policy.file":           writeFile(w.t, dir, "policy.yaml", s.policy),
		"ops.listen":            "127.0.0.1:0",
		"provider.key":          "file:" + writeFile(w.t, dir, "provider-key", providerKey),
		"provider.inject_key":   "true",
		"prices.unknown_input":  "1000000",
		"prices.unknown_output": "2000000",
		"shutdown.grace":        "1s",
	}
	for name, value := range s.settings {
		flags[name] = value
	}
	o := config.LoadOptions{Flags: flags, ReadFile: os.ReadFile}
	if s.config != "" {
		o.Path = writeFile(w.t, dir, "config.yaml", s.config)
	}
	cfg, _, err := config.Load(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// serve starts Plumbline and seeds it.
func (w *world) serve(s setup) {
	w.t.Helper()
	a, err := app.New(w.t.Context(), app.Options{
		Config: w.cfg, Build: telemetry.Build{Version: "test"}, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.app = a
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("Plumbline ended: %v", err)
		}
	})
	end := w.stop
	w.t.Cleanup(func() {
		end()
		if w.t.Failed() {
			w.t.Logf("Plumbline's log:\n%s", w.log)
		}
	})
	if s.objects == "" {
		s.objects = objects
	}
	o, err := app.ParseObjects("objects.yaml", []byte(s.objects))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := a.Store().Apply(ctx, o); err != nil {
		w.t.Fatal(err)
	}
	w.key = w.newKey("helpdesk", "ann")
	w.audit, err = audit.OpenReader(ctx, app.AuditPath(w.cfg.DataDir))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.audit.Close() })
}

// newKey makes an app key that is in force at once.
func (w *world) newKey(appID, user string) string {
	w.t.Helper()
	secret, _, err := app.CreateKey(store.WithActor(w.t.Context(), "test"), w.app.Store(), appID, user, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	w.refresh()
	return secret
}

// issue signs a token of an hour that is in force at once.
func (w *world) issue(r identity.IssueRequest) (token, id string) {
	w.t.Helper()
	r.Lifetime = time.Hour
	token, kept, err := app.IssueToken(store.WithActor(w.t.Context(), "test"), w.app.Store(), w.cfg.Identity, r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.refresh()
	return token, kept.ID
}

// refresh brings changes to the store into force now.
func (w *world) refresh() {
	w.t.Helper()
	if err := w.app.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// response is what a caller saw.
type response struct {
	Status   int
	Header   http.Header
	Body     string
	Exchange string
}

// request is a chat request of ann's unless changed.
func (w *world) request(method, path, body string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.envoy.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("authorization", "Bearer "+w.key)
	if body != "" {
		req.Header.Set("content-type", "application/json")
	}
	return req
}

// do sends a request and reads the whole answer.
func (w *world) do(req *http.Request) response {
	w.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("reading the answer: %v", err)
	}
	r := response{Status: res.StatusCode, Header: res.Header, Body: string(body), Exchange: res.Header.Get("x-plumbline-request-id")}
	if r.Exchange == "" {
		r.Exchange = plumblineError(body).RequestID
	}
	return r
}

// chat posts a chat request.
func (w *world) chat(body string) response {
	return w.do(w.request("POST", "/v1/chat/completions", body))
}

// chatBody is a chat request for one prompt. more adds or replaces members.
func chatBody(model, prompt string, more map[string]any) string {
	body := map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": prompt}}}
	for k, v := range more {
		body[k] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings, numbers and booleans always marshal
	}
	return string(data)
}

// plumblineObject is Plumbline's own part of an error.
type plumblineObject struct {
	Reason    core.Reason `json:"reason"`
	RequestID string      `json:"request_id"`
}

// plumblineError reads Plumbline's own part of an error body.
func plumblineError(body []byte) plumblineObject {
	var e struct {
		Error struct {
			Plumbline plumblineObject `json:"plumbline"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return plumblineObject{}
	}
	return e.Error.Plumbline
}

// records waits until an exchange is closed and gives its records, oldest first.
func (w *world) records(exchange string) []core.Record {
	w.t.Helper()
	if exchange == "" {
		w.t.Fatal("the answer names no exchange")
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		entries, _, err := w.audit.Search(ctx, audit.Query{Exchange: exchange})
		if err != nil {
			w.t.Fatalf("no closing record of %s: %v", exchange, err)
		}
		if n := len(entries); n > 0 && entries[0].Record.Kind != core.RecordIntent {
			records := make([]core.Record, n)
			for i, e := range entries {
				records[n-1-i] = e.Record
			}
			return records
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("no closing record of %s: %d records", exchange, len(entries))
		case <-poll.C:
		}
	}
}

// outcome gives the two records of a forwarded exchange.
func (w *world) outcome(exchange string) (intent, outcome core.Record) {
	w.t.Helper()
	records := w.records(exchange)
	if len(records) != 2 || records[0].Kind != core.RecordIntent || records[1].Kind != core.RecordOutcome {
		w.t.Fatalf("%s has %d records, not an intent and an outcome: %+v", exchange, len(records), records)
	}
	return records[0], records[1]
}

// denied gives the one record of a refused exchange.
func (w *world) denied(exchange string) core.Record {
	w.t.Helper()
	records := w.records(exchange)
	if len(records) != 1 || records[0].Kind != core.RecordDeny {
		w.t.Fatalf("%s has %d records, not one refusal: %+v", exchange, len(records), records)
	}
	return records[0]
}

// refusals gives how many anonymous refusals of a reason are in the audit.
func (w *world) refusals(reason core.Reason) int64 {
	w.t.Helper()
	if err := w.app.FlushRefusals(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	entries, _, err := w.audit.Search(w.t.Context(), audit.Query{Kind: core.RecordRefusals, Reason: reason, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var n int64
	for _, e := range entries {
		n += e.Record.Refusals.Count
	}
	return n
}

func writeFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
