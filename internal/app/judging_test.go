package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/judge"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// judgeServer is a model that answers by what it finds in the prompt.
type judgeServer struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	answer func(body string) (status int, content string)
}

const (
	judgeKey = "sk-judge-0123456789abcdef"
	why      = "It is about the garden."
)

func newJudgeServer(t *testing.T) *judgeServer {
	t.Helper()
	s := &judgeServer{answer: func(body string) (int, string) {
		switch {
		case strings.Contains(body, "garden"):
			return http.StatusOK, `{"verdict":"off_task","rationale":"` + why + `"}`
		case strings.Contains(body, "riddle"):
			return http.StatusOK, "I would rather not say."
		case strings.Contains(body, "fog"):
			return http.StatusOK, `{"verdict":"unsure","rationale":"?"}`
		}
		return http.StatusOK, `{"verdict":"on_task","rationale":""}`
	}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		status, content := s.answer(string(body))
		s.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+judgeKey {
			status = http.StatusUnauthorized
		}
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{
			"finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": content},
		}}})
	}))
	t.Cleanup(s.Close)
	return s
}

// asked gives what was sent since it was called last.
func (s *judgeServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.bodies
	s.bodies = nil
	return sent
}

func (s *judgeServer) answers(answer func(body string) (int, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// drawn is a data directory in which prompts of ann's were drawn and sealed, x1, x2 and so on in the order of the queue.
type drawn struct {
	t           *testing.T
	dir, master string
	store       store.Store
	masters     *seal.MasterKeys
	keys        *seal.Keyring
	log         *audit.Log
	n           int
}

func newDrawn(t *testing.T, prompts ...string) *drawn {
	t.Helper()
	return newDrawnIn(t, testConfig(t, nil), prompts...)
}

// newDrawnIn is newDrawn for a Plumbline with this configuration.
func newDrawnIn(t *testing.T, cfg config.Config, prompts ...string) *drawn {
	t.Helper()
	d := &drawn{t: t, dir: cfg.DataDir, master: filepath.Join(t.TempDir(), "masters"), masters: seal.NewMasterKeys()}
	st, err := OpenStore(t.Context(), cfg)
	if err == nil {
		d.store = st
		err = errors.Join(seal.CreateMasterFile(d.master, d.masters), st.Tasks().Put(t.Context(), billing))
	}
	if err == nil {
		o := audit.Options{Path: AuditPath(d.dir), Durability: audit.CrashSafe}
		if !cfg.Postgres.URL.IsZero() {
			o.MaxSize = int64(cfg.Audit.SpoolSize)
		}
		d.log, err = audit.Open(t.Context(), o)
	}
	if err == nil {
		d.keys, err = seal.NewKeyring(seal.KeyringOptions{
			Store: st.SubjectKeys(), Masters: func() (*seal.MasterKeys, error) { return d.masters, nil }, Now: time.Now,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	fetching := make(chan struct{})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { defer close(fetching); _ = d.keys.Run(ctx) }()
	t.Cleanup(func() { stop(); <-fetching; d.close() })
	for _, p := range prompts {
		d.draw("ann", p)
	}
	return d
}

// close lets go of the directory.
func (d *drawn) close() {
	if d.log == nil {
		return
	}
	if err := errors.Join(d.log.Close(context.WithoutCancel(d.t.Context())), d.store.Close()); err != nil {
		d.t.Error(err)
	}
	d.log = nil
}

func (d *drawn) draw(user, prompt string) {
	d.t.Helper()
	d.drawSpoiled(user, prompt, func(*core.Record) {})
}

// drawSpoiled is draw for a record that is spoiled after it was sealed.
func (d *drawn) drawSpoiled(user, prompt string, spoil func(*core.Record)) {
	d.t.Helper()
	d.n++
	sealer := seal.New(seal.Options{Keys: d.keys, Mode: seal.ModeNone, Limit: 1000, Sample: 1, SampleSubject: store.SampleSubject, Now: time.Now})
	r := core.Record{Kind: core.RecordDeny, Time: time.Now(), Exchange: fmt.Sprint("x", d.n), Principal: core.Principal{User: user}}
	sealer.Seal(d.t.Context(), &r, seal.Content{Prompt: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: prompt}}})
	spoil(&r)
	s := core.Sample{
		Exchange: r.Exchange, Drawn: r.Time, Task: billing.ID, Text: calibrate.TextVersion(billing), Model: d.model(), Score: 0.5, Place: int64(d.n),
	}
	if err := errors.Join(d.log.Append(d.t.Context(), r), d.store.Labels().Draw(d.t.Context(), s)); err != nil {
		d.t.Fatal(err)
	}
}

// model is the version of the scorer.
func (d *drawn) model() string {
	d.t.Helper()
	scorer, err := deviation.Default()
	if err != nil {
		d.t.Fatal(err)
	}
	return scorer.Version()
}

// proposer is the job over this directory.
func (d *drawn) proposer(s *judgeServer, log io.Writer) *proposer {
	d.t.Helper()
	j, err := judge.New(judge.Options{URL: s.URL, Model: "m", Key: func() string { return judgeKey }, PerMinute: 600_000, Timeout: 10 * time.Second})
	if err != nil {
		d.t.Fatal(err)
	}
	return &proposer{
		store: d.store, judge: j, name: "judge:m", model: d.model, timeout: 10 * time.Second, most: 100, now: time.Now, tries: map[string]int{},
		masters: func() (*seal.MasterKeys, error) { return d.masters, nil },
		records: func(context.Context) (read.Reader, func() error, error) {
			r, err := audit.OpenReader(d.t.Context(), AuditPath(d.dir))
			if err != nil {
				return nil, nil, err
			}
			return read.Local{Reader: r}, r.Close, nil
		},
		log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

func (d *drawn) labelling(by string) *Labelling {
	d.t.Helper()
	r, err := audit.OpenReader(d.t.Context(), AuditPath(d.dir))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { r.Close() })
	of := func(ctx context.Context, exchange string) ([]core.Record, error) {
		return RecordsOf(ctx, read.Local{Reader: r}, exchange)
	}
	l, err := NewLabelling(d.t.Context(), d.store, d.model(), d.masters, of, by)
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}

// proposals are what is proposed, as "x1 on_task" and so on.
func (d *drawn) proposals() (all []string) {
	d.t.Helper()
	var exchanges []string
	for i := range d.n {
		exchanges = append(exchanges, fmt.Sprint("x", i+1))
	}
	proposals, err := d.store.Labels().Proposals(d.t.Context(), exchanges...)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range proposals {
		all = append(all, p.Exchange+" "+string(p.Verdict))
	}
	return all
}

// TestJudgeProposes: the judge is asked once about each prompt; what it says is a proposal that a person sees and that counts
// for nothing, until the person says the same or otherwise.
func TestJudgeProposes(t *testing.T) {
	d := newDrawn(t, "An invoice of ann@example.com", "How do I water my garden?", "A riddle", "In the fog")
	s := newJudgeServer(t)
	p := d.proposer(s, io.Discard)
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := s.asked()
	if len(sent) != 4 || !strings.Contains(fmt.Sprint(sent), "[masked:email]") || strings.Contains(fmt.Sprint(sent), "ann@") {
		t.Errorf("%d prompts are sent: %q", len(sent), sent)
	}
	if got := fmt.Sprint(d.proposals()); got != "[x1 on_task x2 off_task x3  x4 ]" {
		t.Errorf("proposals %s", got)
	}
	kept, err := d.store.Labels().Proposals(t.Context(), "x2")
	if err != nil || len(kept[0].Rationale) == 0 || bytes.Contains(kept[0].Rationale, []byte("garden")) {
		t.Errorf("the rationale is kept as %q, %v", kept[0].Rationale, err)
	}
	if err := p.run(t.Context()); err != nil || len(s.asked()) != 0 {
		t.Errorf("they are sent again: %v", err)
	}
	d.recordedLooks("judge:m", "reveal exchange/x1", "reveal exchange/x2", "reveal exchange/x3", "reveal exchange/x4")
	if status := d.status(); status.Labels != (LabelCounts{}) || len(status.Judges) != 0 {
		t.Errorf("proposals count: %+v", status)
	}

	l := d.labelling("cli:eve")
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "weekly labels")
	for _, want := range []struct {
		verdict   core.Proposed
		rationale string
		says      bool
	}{{core.ProposedOn, "", false}, {core.ProposedOff, why, false}, {"", "", true}} {
		q, passed, err := l.Next(ctx)
		if err != nil || q == nil || len(passed) > 0 || q.Proposal != want.verdict || q.Rationale != want.rationale || (q.Judge == "judge:m") != (want.verdict != "") {
			t.Fatalf("%+v, %v, want %+v", q, err, want)
		}
		if err := l.Answer(ctx, q, want.says, true); err != nil {
			t.Fatal(err)
		}
	}
	status := d.status()
	if status.Labels != (LabelCounts{OnTask: 1, OffTask: 2}) || len(status.Judges) != 1 || status.Judges[0].N != 2 || status.Judges[0].Agreed != 1 {
		t.Errorf("after three labels: %+v", status)
	}
}

func (d *drawn) status() CalibrationStatus {
	d.t.Helper()
	status, err := StatusOfCalibration(d.t.Context(), d.store, d.model(), onePercent)
	if err != nil {
		d.t.Fatal(err)
	}
	return status
}

// recordedLooks checks which changes are in the feed by an actor, in any order, each with a reason.
func (d *drawn) recordedLooks(actor string, want ...string) {
	d.t.Helper()
	changes, err := d.store.Changes(d.t.Context(), 0, 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		if c.Actor == actor && c.Reason != "" {
			got = append(got, c.Action+" "+c.Object)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		d.t.Errorf("the feed has %q, want %q", got, want)
	}
}

// TestErasedIsNotJudged: who was erased is sent nowhere, and what was written of their prompts is gone with them.
func TestErasedIsNotJudged(t *testing.T) {
	d := newDrawn(t, "My garden")
	d.draw("ben", "My invoice")
	s := newJudgeServer(t)
	p := d.proposer(s, io.Discard)
	p.most = 1
	if err := p.run(t.Context()); err != nil || len(s.asked()) != 1 {
		t.Fatal(err)
	}
	records := func() core.Record {
		r, done, err := p.records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := RecordsOf(t.Context(), r, "x1")
		if err = errors.Join(err, done()); err != nil || len(all) != 1 {
			t.Fatalf("%d records, %v", len(all), err)
		}
		return all[0]
	}
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "asked to")
	held := []core.Record{records()}
	before, err := openSample(ctx, d.store, d.masters, "x1", held)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := d.store.Labels().Proposals(ctx, "x1")
	if err != nil {
		t.Fatal(err)
	}
	if note, err := before.openNote(ctx, d.store, d.masters, kept[0].Rationale); note != why || err != nil {
		t.Errorf("before the erasure: %q, %v", note, err)
	}
	for _, subject := range []string{"user/ann", "user/ben"} {
		if err := Erase(ctx, d.store, subject); err != nil {
			t.Fatal(err)
		}
	}
	if note, err := before.openNote(ctx, d.store, d.masters, kept[0].Rationale); note != "" || err != nil {
		t.Errorf("after the erasure: %q, %v", note, err)
	}
	if err := p.run(t.Context()); err != nil || len(s.asked()) != 0 || fmt.Sprint(d.proposals()) != "[x1 off_task x2 ]" {
		t.Errorf("after the erasure: %v, %q", err, d.proposals())
	}
}

// TestJudgeFails: a judge that answers to nobody is left alone longer and longer, one that says so for as long as it says, and
// a prompt that it fails at alone is given up. Nothing of a prompt or the key is in what is logged or returned.
func TestJudgeFails(t *testing.T) {
	d := newDrawn(t, "poison in the invoice", "An invoice")
	s := newJudgeServer(t)
	var log bytes.Buffer
	p := d.proposer(s, &log)
	now := time.Now()
	p.now = func() time.Time { return now }
	run := func(what string, wantErr string, wantAsked int) {
		t.Helper()
		err := p.run(t.Context())
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %v, want %q", what, err, wantErr)
		}
		if sent := s.asked(); len(sent) != wantAsked {
			t.Errorf("%s: %d prompts are sent, want %d", what, len(sent), wantAsked)
		}
		if err != nil {
			fmt.Fprintln(&log, jobWords(err), err)
		}
	}
	s.answers(func(string) (int, string) { return http.StatusBadRequest, "" })
	run("all are refused", "status 400", 2)
	run("it rests", "", 0)
	now = now.Add(judgeRest)
	run("after a rest", "status 400", 2)
	now = now.Add(2*judgeRest - time.Second)
	run("it rests longer", "", 0)
	now = now.Add(time.Second)

	s.answers(func(string) (int, string) { return http.StatusTooManyRequests, "" })
	p.most = 1
	run("too much", "per_minute", 1)
	now = now.Add(4*judgeRest - time.Second)
	run("as it asked for, or as it is rested anyway", "", 0)
	now = now.Add(time.Second)
	p.most = 100

	s.answers(func(body string) (int, string) {
		if strings.Contains(body, "poison") {
			return http.StatusBadRequest, ""
		}
		return http.StatusOK, `{"verdict":"on_task","rationale":""}`
	})
	for i := range judgedTries {
		run("one is refused", "", 2)
		want := fmt.Sprintf("[x%d on_task]", i+2)
		if got := d.proposals(); i < judgedTries-1 && !strings.HasSuffix(fmt.Sprint(got), want[1:]) {
			t.Errorf("run %d: %q", i, got)
		}
		d.draw("ann", "Another invoice")
	}
	if got := d.proposals(); !slices.Contains(got, "x1 ") {
		t.Errorf("it is not given up: %q", got)
	}
	run("the rest", "", 1)
	if said := log.String(); strings.Contains(said, "poison") || strings.Contains(said, judgeKey) || !strings.Contains(said, "exchange=x1") {
		t.Errorf("the log has %s", said)
	}
}

// TestJudgeStaysAhead: no more is sent out than people may need soon, what is scored against other texts is passed over, and
// a run keeps to its share.
func TestJudgeStaysAhead(t *testing.T) {
	d := newDrawn(t)
	var samples []core.Sample
	for i := range judgedAhead + queuePage {
		s := core.Sample{
			Exchange: fmt.Sprint("y", i), Drawn: time.Now(), Task: billing.ID, Text: calibrate.TextVersion(billing), Model: d.model(), Place: int64(i + 1),
		}
		if i < queuePage-100 {
			s.Text = "of before"
		}
		samples = append(samples, s)
	}
	if err := d.store.Labels().Draw(t.Context(), samples...); err != nil {
		t.Fatal(err)
	}
	p := d.proposer(newJudgeServer(t), io.Discard)
	p.most = 150
	waiting, _, err := p.waiting(t.Context())
	if err != nil || len(waiting) != 150 || waiting[0].Exchange != fmt.Sprint("y", queuePage-100) {
		t.Errorf("%d wait, %v", len(waiting), err)
	}
	for _, s := range samples[queuePage-100:][:200] {
		if err := p.propose(t.Context(), core.Proposal{Exchange: s.Exchange}); err != nil {
			t.Fatal(err)
		}
	}
	if waiting, _, err = p.waiting(t.Context()); err != nil || len(waiting) != judgedAhead-200 {
		t.Errorf("%d wait, %v, want %d", len(waiting), err, judgedAhead-200)
	}
}

// TestSamplesWithoutARecordHoldUpNothing: what was queued and never recorded is waited for an hour, and then the judge goes on to
// what stands behind it.
func TestSamplesWithoutARecordHoldUpNothing(t *testing.T) {
	d := newDrawn(t)
	for range 3 { // as if the process had died before it recorded them
		d.n++
		s := core.Sample{
			Exchange: fmt.Sprint("x", d.n), Drawn: time.Now(), Task: billing.ID, Text: calibrate.TextVersion(billing), Model: d.model(), Score: 0.5, Place: int64(d.n),
		}
		if err := d.store.Labels().Draw(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	d.draw("ann", "An invoice")
	s := newJudgeServer(t)
	p := d.proposer(s, io.Discard)
	p.most = 3
	now := time.Now()
	p.now = func() time.Time { return now }
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "[]"}, {judgedLate, "[x1  x2  x3 ]"}, {0, "[x1  x2  x3  x4 on_task]"}} {
		now = now.Add(step.after)
		if err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.proposals()); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
}

// lockedBuffer is a log that several write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestJudgeInARunningPlumbline: configured, it is asked by a background job; the start says plainly that prompts leave, and
// neither log nor metrics have a word of them or the key.
func TestJudgeInARunningPlumbline(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { judgedWhileServing(t, testConfig(t, nil)) })
	t.Run("in Postgres", func(t *testing.T) {
		cfg, _ := onPostgres(t, pgproc.Shared(t), nil)
		judgedWhileServing(t, cfg)
	})
}

func judgedWhileServing(t *testing.T, in config.Config) {
	t.Helper()
	d := newDrawnIn(t, in, "How do I water my garden?")
	d.close()
	s := newJudgeServer(t)
	keyFile := filepath.Join(d.dir, "judge-key")
	if err := os.WriteFile(keyFile, []byte(judgeKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, map[string]string{
		"data_dir": d.dir, "audit.master_key_file": d.master, "audit.calibration_sample": "100%",
		"calibration.judge.url": s.URL, "calibration.judge.model": "m", "calibration.judge.key": "file:" + keyFile,
	})
	cfg.Postgres = in.Postgres
	var log lockedBuffer
	a, err := New(t.Context(), Options{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, a)
	await(t, "a proposal", func() bool {
		got, err := a.store.Labels().Proposals(t.Context(), "x1")
		return err == nil && len(got) == 1 && got[0].Verdict == core.ProposedOff
	})
	res, err := http.Get(a.OpsURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	stop()
	if !strings.Contains(string(metrics), `plumbline_calibration_judge_asked_total{result="proposed"} 1`) {
		t.Error("it is not counted")
	}
	said := log.String()
	if !strings.Contains(said, "prompts LEAVE this deployment") || !strings.Contains(said, s.URL) {
		t.Errorf("the start does not say that prompts leave:\n%s", said)
	}
	for _, secret := range []string{"garden", judgeKey} {
		if strings.Contains(said, secret) || strings.Contains(string(metrics), secret) {
			t.Errorf("%q is in the log or the metrics", secret)
		}
	}
}

// TestNoJudgeUnlessConfigured: without calibration.judge there is no such job.
func TestNoJudgeUnlessConfigured(t *testing.T) {
	a, err := New(t.Context(), Options{Config: testConfig(t, nil), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close(t.Context())
	all, err := a.jobs(nil, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil))
	if err != nil || slices.Contains(jobNames(all), jobJudge) {
		t.Errorf("%q, %v", jobNames(all), err)
	}
}
