package cli

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// sampledDir is a data directory in which the first of these prompts were drawn for calibration and sealed, in that order in
// the queue, and a configuration.
func sampledDir(t *testing.T, prompts ...string) (config string) {
	t.Helper()
	v := newVault(t)
	defer v.close(t)
	st := v.store
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	task := core.Task{ID: "billing", Title: "Billing", Topics: []string{"invoices"}, Examples: []string{"How do I  pay an INVOICE?"}}
	if err := st.Tasks().Put(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	var sampled int
	sealer := seal.New(seal.Options{
		Keys: v.keys, Mode: seal.ModeNone, Limit: 1000, Sample: 1, SampleSubject: store.SampleSubject, Now: time.Now,
		Sampled: func(*core.Record) { sampled++ },
	})
	for i, text := range prompts {
		d := core.Deviation{Score: 0.5, Task: task.ID, Model: scorer.Version()}
		r := core.Record{Kind: core.RecordDeny, Time: time.Now(), Exchange: fmt.Sprint("x", i+1), Principal: core.Principal{User: "ann"}, Deviation: &d}
		sealer.Seal(t.Context(), &r, seal.Content{Prompt: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
		if err := v.log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		s := core.Sample{
			Exchange: r.Exchange, Drawn: r.Time, Task: task.ID, Text: calibrate.TextVersion(task), Model: d.Model, Score: d.Score, Place: int64(i + 1),
		}
		if err := st.Labels().Draw(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if sampled != len(prompts) {
		t.Errorf("%d samples were told of, want %d", sampled, len(prompts))
	}
	config = filepath.Join(v.dir, "plumbline.yaml")
	text := fmt.Sprintf("data_dir: %s\naudit: {master_key_file: %s, calibration_sample: 100%%}\n", v.dir, v.masterFile)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

func admins(t *testing.T, config string) {
	t.Helper()
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "calibration: {admins: [%q]}\n", actor()); err != nil {
		t.Fatal(err)
	}
}

// TestLabelNext: a person is asked about one prompt after another; each look is recorded, what trained is left out, and what
// they say waits for somebody to answer for it.
func TestLabelNext(t *testing.T) {
	config := sampledDir(t, "how do i pay an invoice?", "The first\n\x1b[2Jprompt", "The second", "The third", "The fourth")
	run := func(stdin string, want int, args ...string) (out, talk string) {
		t.Helper()
		out, talk, code := plumblineReading(t, stdin, nil, append([]string{"-c", config}, args...)...)
		if code != want {
			t.Errorf("%v: exit status %d, want %d: %s%s", args, code, want, out, talk)
		}
		return out, talk
	}
	run("", exitUsage, "label", "next")
	run("", exitUsage, "label", "next", "--reason", " ")
	out, talk := run("?\ny\ns\nn\nq\n", exitDone, "label", "next", "--reason", "labels of the week")
	for _, want := range []string{"x2, ", "The first", `\x1b[2J`, "nearest task billing: Billing", "covers: invoices", "The second", "The third", "The fourth"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") || strings.Contains(out, "pay an invoice") || strings.Contains(out, "0.5") || !strings.Contains(talk, "0 of 299") {
		t.Errorf("it shows what it must not, or not how far it is:\n%q\n%s", out, talk)
	}
	out, _ = run("", exitDone, "label", "list", "--pending")
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, "x2") || !strings.Contains(out, "x4") {
		t.Errorf("labels:\n%s", out)
	}
	by := actor()
	run("", exitUsage, "label", "approve", "x2", "--by", by, "--says", "on-task", "--reason", "seen")
	run("", exitUsage, "calibration", "make", "--reason", "now")
	admins(t, config)
	run("", exitUsage, "label", "approve", "x2", "--by", by, "--reason", "seen")
	_, talk = run("", exitFailed, "label", "approve", "x2", "--by", by, "--says", "off-task", "--reason", "seen")
	if !strings.Contains(talk, "was changed meanwhile") || !strings.Contains(talk, "says on-task by now: look at it again") {
		t.Errorf("an approval of what is not said:\n%s", talk)
	}
	run("", exitDone, "label", "approve", "x2", "--by", by, "--says", "on-task", "--reason", "seen")
	run("", exitFailed, "label", "approve", "x9", "--by", by, "--says", "on-task", "--reason", "seen")
	run("", exitFailed, "label", "approve", "x2", "--by", "judge:gpt", "--says", "on-task", "--reason", "seen")
	out, talk = run("", exitDone, "label", "next", "--reason", "one more", "--answer", "off-task")
	if !strings.Contains(out, "The second") || !strings.Contains(talk, "x3 is labelled off-task") || !strings.Contains(talk, "1 of 299") {
		t.Errorf("an answer without asking:\n%s%s", out, talk)
	}
	run("", exitDone, "label", "withdraw", "x4", "--by", by, "--reason", "a slip")
	out, _ = run("", exitDone, "calibration", "status")
	for _, want := range []string{"at most 1 % of prompts", "1 of 299 on task, 1 off task; 0 wait", "in force:  nothing", "billing"} {
		if !strings.Contains(out, want) {
			t.Errorf("the status does not say %q:\n%s", want, out)
		}
	}
	if _, talk := run("", exitFailed, "calibration", "make", "--reason", "now"); !strings.Contains(talk, "1 of 299") {
		t.Error(talk)
	}
	var said []string
	for _, c := range looks(t, filepath.Dir(config)) {
		if c.Actor == by {
			said = append(said, c.Action+" "+c.Object)
		}
	}
	want := "reveal exchange/x1, reveal exchange/x2, label sample/x2, reveal exchange/x3, reveal exchange/x4, label sample/x4, reveal exchange/x5, " +
		"approve sample/x2, reveal exchange/x1, reveal exchange/x3, label sample/x3, withdraw sample/x4"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("the feed has\n%s, want\n%s", got, want)
	}
}

// TestFloodAndContradiction: who does not answer for labels is told when they have given enough for a day, labels that
// contradict each other count for nothing until one is taken back, and a proposal is shown as one.
func TestFloodAndContradiction(t *testing.T) {
	config := sampledDir(t, "one", "two", "three", "four", "five", "six", "seven")
	dir := filepath.Dir(config)
	run := func(stdin string, want int, args ...string) (out, talk string) {
		t.Helper()
		out, talk, code := plumblineReading(t, stdin, nil, append([]string{"-c", config}, args...)...)
		if code != want {
			t.Errorf("%v: exit status %d, want %d: %s%s", args, code, want, out, talk)
		}
		return out, talk
	}
	with := func(do func(st store.Store) error) {
		t.Helper()
		st, err := sqlite.Open(t.Context(), app.StorePath(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(do(st), st.Close()); err != nil {
			t.Fatal(err)
		}
	}
	with(func(st store.Store) error {
		return st.Labels().Propose(t.Context(), core.Proposal{Exchange: "x1", Judge: "judge:m", Verdict: core.ProposedOff, At: time.Now().UTC().Truncate(time.Microsecond)})
	})
	out, talk := run(strings.Repeat("y\n", 7), exitFailed, "label", "next", "--reason", "a flood")
	if !strings.Contains(talk, "at most 5 labels a day") || !strings.Contains(talk, "calibration.admins") || strings.Contains(out, "seven") {
		t.Errorf("the sixth label:\n%s", talk)
	}
	if !strings.Contains(out, "judge:m proposes off_task, which is no label") {
		t.Errorf("the proposal is not shown:\n%s", out)
	}
	admins(t, config)
	run("", exitDone, "label", "approve", "x1", "--by", actor(), "--says", "on-task", "--reason", "seen")
	run("", exitDone, "label", "approve", "x2", "--by", actor(), "--says", "on-task", "--reason", "seen")
	with(func(st store.Store) error {
		l := core.Label{Sample: core.Sample{Exchange: "x1"}, By: "cli:ben", Approved: "cli:ben", At: time.Now().UTC().Truncate(time.Microsecond)}
		return st.Labels().Put(t.Context(), l)
	})
	out, _ = run("", exitDone, "calibration", "status")
	for _, want := range []string{"1 of 299 on task, 0 off task; 3 wait for approval, 1 are disputed", "people said what judge:m proposed of 0 of 1 prompts"} {
		if !strings.Contains(out, want) {
			t.Errorf("with a contradiction it does not say %q:\n%s", want, out)
		}
	}
	run("", exitDone, "label", "withdraw", "x1", "--by", "cli:ben", "--reason", "a slip")
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	with(func(st store.Store) error {
		c := calibrate.New(scorer.Version(), []core.Sample{{Task: "billing", Text: "t", Score: 0.5}})
		c.Created = time.Now().UTC().Truncate(time.Microsecond)
		return st.Calibrations().Put(t.Context(), c)
	})
	out, _ = run("", exitDone, "calibration", "status")
	for _, want := range []string{"2 of 299 on task, 0 off task; 3 wait for approval, 0 are disputed", "blocked:   0 calls for their deviation since then"} {
		if !strings.Contains(out, want) {
			t.Errorf("without it does not say %q:\n%s", want, out)
		}
	}
}

// TestLabelNextAfterAnErasure: who was erased is not asked about, and without samples there is nothing to ask.
func TestLabelNextAfterAnErasure(t *testing.T) {
	config := sampledDir(t, "The first")
	if _, talk, code := plumbline(t, nil, "-c", config, "audit", "erase", "--subject", "ann", "--reason", "asked"); code != exitDone {
		t.Fatal(talk)
	}
	out, talk, code := plumbline(t, nil, "-c", config, "label", "next", "--reason", "labels", "--answer", "show")
	if code != exitFailed || !strings.Contains(talk, "no prompt waits") || strings.Contains(out, "first") {
		t.Errorf("exit status %d: %s%s", code, out, talk)
	}
	if _, talk, code := plumbline(t, nil, "-c", config, "label", "next", "--reason", "labels"); code != exitDone || !strings.Contains(talk, "No prompt waits") {
		t.Errorf("exit status %d: %s", code, talk)
	}
}

// TestLabelNextPassesOver: a prompt whose key does not open any more is told with the reason, and the next one is asked about.
func TestLabelNextPassesOver(t *testing.T) {
	config := sampledDir(t, "The first", "The second")
	db, err := sql.Open("sqlite", app.StorePath(filepath.Dir(config)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "UPDATE subject_keys SET master = 'mk-lost' WHERE subject LIKE 'user/%'")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	out, talk, code := plumbline(t, nil, "-c", config, "label", "next", "--reason", "labels", "--answer", "show")
	for _, want := range []string{"x1 is passed over: ", "lacks the one that wraps this key: mk-lost", "x2 is passed over: ", "passed over: 2\n", "no prompt waits"} {
		if !strings.Contains(talk, want) {
			t.Errorf("it does not say %q:\n%s", want, talk)
		}
	}
	if code != exitFailed || strings.Contains(out, "The ") {
		t.Errorf("exit status %d: %s", code, out)
	}
}
