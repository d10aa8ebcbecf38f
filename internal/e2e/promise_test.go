package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/jobs"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// Policies of a deployment that promises, and of one that was told to block without a promise.
const (
	promising    = "version: 1\nmode: enforce\ndeviation: {warn: 0.5, block: promised, promise: 1%}\n"
	uncalibrated = "version: 1\nmode: enforce\ndeviation: {warn: 0.5, block: 0.7, enforce_uncalibrated: true}\n"
)

// farPrompts are prompts that are far from the task of every world.
var farPrompts = []string{
	"Write a poem about a dragon who learns to play the guitar.",
	"Which trail in the Alps is the most beautiful in autumn?",
	"Recommend a fantasy novel with a clever thief.",
	"How do I train my puppy to sit and stay?",
	"Compose a birthday song for my grandmother.",
	"What is the best strategy to win at chess?",
}

// deployment is a server whose prompts are all drawn for calibration, and a person who labels them.
type deployment struct {
	*server
	policy string // its file
}

// TestThePromiseFromLabelsToDemotion takes a deployment through a real Envoy from nothing to a promise and back. Without a
// calibration a prompt off every task is warned about, unless the policy says otherwise; with one it is blocked, and one that
// is on a task is not; and when later labels say that the promise does not hold, nothing is blocked any more.
func TestThePromiseFromLabelsToDemotion(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)

	d.passes(farPrompts[0], core.ActionWarn)
	d.put(uncalibrated)
	if rec := d.blockedOnce(farPrompts[1]); !rec.Verdict.Uncalibrated || rec.Deviation.Calibrated || rec.Deviation.P != nil {
		t.Errorf("blocked without a calibration, and recorded as %+v, %+v", *rec.Verdict, *rec.Deviation)
	}
	d.passes(onTask, core.ActionAllow)
	d.put(promising)
	d.passesOnce(farPrompts[2])

	d.askOnTask(310)
	last := d.passes(onTask, core.ActionAllow)
	if on, off := d.label(last.Exchange, isOffTask); on < 310 || off < 3 {
		t.Fatalf("%d prompts were labelled on task and %d off it", on, off)
	}
	d.passes(farPrompts[3], core.ActionWarn) // labels alone are no calibration
	d.run("calibration", "make", "--reason", "the first labels")
	rec := d.blockedOnce(farPrompts[3])
	if v := rec.Verdict; v.Rule != "deviation.block" || v.Reason != core.ReasonOffTask || v.Uncalibrated {
		t.Errorf("blocked by %+v", *v)
	}
	if dev := rec.Deviation; !dev.Calibrated || dev.P == nil || *dev.P > 0.01 || dev.N < 310 {
		t.Errorf("blocked for %+v", *dev)
	}
	if rec := d.passes(onTask, core.ActionAllow); !rec.Deviation.Calibrated || rec.Deviation.P == nil || *rec.Deviation.P <= 0.01 {
		t.Errorf("allowed for %+v", *rec.Deviation)
	}

	// People find that what is blocked now was on task.
	for _, text := range farPrompts {
		rec = d.blocked(text)
	}
	d.label(rec.Exchange, func(string) bool { return false })
	d.check()
	d.passesOnce(farPrompts[4])
	if status := d.run("calibration", "status"); !strings.Contains(status, "demoted on") {
		t.Errorf("the status is\n%s", status)
	}
	d.passes(onTask, core.ActionAllow)
	eventually(t, "the demotion is in the audit", func() bool {
		changes, _, err := d.audit.Search(t.Context(), audit.Query{Kind: core.RecordAdmin, Limit: 1000})
		must(t, err)
		for _, e := range changes {
			if a := e.Record.Admin; a.Action == "demote" && a.Actor == "system" {
				return true
			}
		}
		return false
	})
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	dir := t.TempDir()
	masters := filepath.Join(dir, "masters")
	must(t, seal.CreateMasterFile(masters, seal.NewMasterKeys()))
	me, err := user.Current()
	must(t, err)
	policy := writeFile(t, dir, "promise.yaml", promising)
	return &deployment{serve(t, setup{
		settings: map[string]string{"policy.file": policy, "audit.master_key_file": masters, "audit.calibration_sample": "100%"},
		config:   "calibration: {admins: [\"cli:" + me.Username + "\"]}\n",
	}), policy}
}

// put puts another policy in the place of the one in force, in one step.
func (d *deployment) put(policy string) {
	d.t.Helper()
	next := d.policy + ".next"
	must(d.t, os.WriteFile(next, []byte(policy), 0o600))
	must(d.t, os.Rename(next, d.policy))
}

// passes asks, and gives the intent of what must be answered.
func (d *deployment) passes(text string, want core.Action) core.Record {
	d.t.Helper()
	r := d.chat(chatBody("gpt-4o", text, nil))
	if r.Status != http.StatusOK {
		d.t.Fatalf("%q: status %d, %s", text, r.Status, r.Body)
	}
	intent, _ := d.outcome(r.Exchange)
	if intent.Verdict.Action != want {
		d.t.Errorf("%q: the verdict is %+v, want %s", text, *intent.Verdict, want)
	}
	return intent
}

// blocked asks, and gives the record of what must be refused.
func (d *deployment) blocked(text string) core.Record {
	d.t.Helper()
	r := d.chat(chatBody("gpt-4o", text, nil))
	if r.Status != http.StatusForbidden {
		d.t.Fatalf("%q: status %d, %s", text, r.Status, r.Body)
	}
	return d.denied(r.Exchange)
}

// blockedOnce waits until what was changed is in force, and text is blocked.
func (d *deployment) blockedOnce(text string) core.Record {
	d.t.Helper()
	d.once(text, http.StatusForbidden)
	return d.blocked(text)
}

// passesOnce waits until text is not blocked any more, but warned about.
func (d *deployment) passesOnce(text string) {
	d.t.Helper()
	d.once(text, http.StatusOK)
	d.passes(text, core.ActionWarn)
}

func (d *deployment) once(text string, status int) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%q is answered with %d", text, status), func() bool {
		return d.chat(chatBody("gpt-4o", text, nil)).Status == status
	})
}

// askOnTask asks n different things of the task, some at once.
func (d *deployment) askOnTask(n int) {
	d.t.Helper()
	asked := []string{
		"Explain to the customer why charge %d is on her credit card bill.",
		"A customer questions the fee on bill %d. How do I answer?",
		"How long does the refund of double charge %d take?",
		"Arrange a refund for the wrong charge %d on the credit card statement.",
	}
	var callers sync.WaitGroup
	for worker := range 4 {
		callers.Go(func() {
			for i := worker; i < n; i += 4 {
				if r := d.chat(chatBody("gpt-4o", fmt.Sprintf(asked[i%len(asked)], i), nil)); r.Status != http.StatusOK {
					d.t.Errorf("prompt %d on task: status %d, %s", i, r.Status, r.Body)
				}
			}
		})
	}
	callers.Wait()
}

func isOffTask(text string) bool { return slices.Contains(farPrompts, text) }

// label waits until all up to an exchange waits to be labelled, and labels it as a person does: one question after another.
func (d *deployment) label(last string, off func(text string) bool) (onTask, offTask int) {
	d.t.Helper()
	d.queued(last)
	cmd := d.command("label", "next", "--reason", "labels of the week", "-o", "json")
	answers, err := cmd.StdinPipe()
	must(d.t, err)
	questions, err := cmd.StdoutPipe()
	must(d.t, err)
	must(d.t, cmd.Start())
	for decoder := json.NewDecoder(questions); ; {
		var q app.Question
		if err := decoder.Decode(&q); err == io.EOF {
			break
		} else if err != nil {
			d.t.Fatal(err)
		}
		answer := "y\n"
		if off(q.Prompt.Parts[0].Text) {
			answer, offTask = "n\n", offTask+1
		} else {
			onTask++
		}
		_, err := io.WriteString(answers, answer)
		must(d.t, err)
	}
	must(d.t, answers.Close())
	must(d.t, cmd.Wait())
	return onTask, offTask
}

// queued waits until an exchange waits to be labelled. Those before it do too: they are queued in order.
func (d *deployment) queued(exchange string) {
	d.t.Helper()
	st, err := app.OpenStore(d.t.Context(), d.cfg)
	must(d.t, err)
	defer st.Close()
	scorer, err := deviation.Default()
	must(d.t, err)
	eventually(d.t, "what was asked waits to be labelled", func() bool {
		for q := (store.QueueQuery{By: "cli:nobody", Model: scorer.Version()}); ; {
			page, err := st.Labels().Queue(d.t.Context(), q)
			must(d.t, err)
			for _, s := range page {
				if q.After = s.Place; s.Exchange == exchange {
					return true
				}
			}
			if len(page) < q.Size() {
				return false
			}
		}
	})
}

// check has the job run now that compares what is promised with what is realised, which else runs each minute.
func (d *deployment) check() {
	d.t.Helper()
	eventually(d.t, "the calibration is checked", func() bool {
		var all []jobs.Entry
		must(d.t, json.Unmarshal([]byte(d.run("jobs", "list", "-o", "json")), &all))
		for _, e := range all {
			if e.Job == "calibration_check" {
				_, _, code := d.try("jobs", "retry", strconv.FormatInt(e.ID, 10))
				return code == 0
			}
		}
		return false
	})
}
