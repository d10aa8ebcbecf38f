package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
)

// Past its deadline Admit refuses, and what it did is undone, whichever part was slow.
func TestAdmitDeadline(t *testing.T) {
	late := func() { time.Sleep(time.Minute) } //nolint:forbidigo // the clock of the bubble
	for name, c := range map[string]struct {
		slow func(*gatetest.World)
		want string
	}{
		"the classifier": {func(w *gatetest.World) {
			w.Classify = func(*intent.View) core.Intent { late(); return core.Intent{} }
		}, "reserve void deny"},
		"the log, which gives up": {func(w *gatetest.World) {
			w.Fail = func(ctx context.Context, step string) error {
				if step != "intent" {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
		}, "reserve intent! void outcome:not_forwarded"},
		"the log, which comes late": {func(w *gatetest.World) {
			w.Fail = func(_ context.Context, step string) error {
				if step == "intent" {
					late()
				}
				return nil
			}
		}, "reserve intent void outcome:not_forwarded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := gatetest.New(t, gatetest.Options{})
				c.slow(w)
				x := refused(503, core.ReasonGovernanceDown)(t, w)
				if n := w.Ledger.Pending(); n != 0 {
					t.Errorf("%d reservations are held after the refusal", n)
				}
				x.Close(t.Context(), core.FinishInterrupted)
				if got := strings.Join(w.Journal(), " "); got != c.want {
					t.Errorf("steps %s, want %s", got, c.want)
				}
				if w.Failures(t) == 0 {
					t.Error("no failure is counted")
				}
				quiet(t, w)
			})
		})
	}
}

// A caller that is gone before the verdict gets nothing forwarded in its name, and is no failure of Plumbline's.
func TestACallerThatIsGoneIsNotForwarded(t *testing.T) {
	for step, want := range map[string]string{
		"reserve": "reserve void deny:interrupted",
		"intent":  "reserve intent outcome:not_forwarded void",
	} {
		t.Run(step, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			w.Fail = func(_ context.Context, now string) error {
				if now == step {
					cancel()
				}
				return nil
			}
			x := opened(t, w)
			_, reply := x.Admit(ctx, chat(""))
			refusedWith(t, reply, 503, core.ReasonGovernanceDown)
			x.Close(ctx, core.FinishInterrupted)
			if got := strings.Join(w.Journal(), " "); got != want {
				t.Errorf("steps %s, want %s", got, want)
			}
			if n := w.Failures(t); n != 0 {
				t.Errorf("%v failures are counted", n)
			}
			if step == "reserve" {
				if rec := w.Record(t, core.RecordDeny); rec.Finish != core.FinishInterrupted || rec.Reason != core.ReasonNone {
					t.Errorf("the record says %s, %s", rec.Finish, rec.Reason)
				}
			} else if rec := w.Record(t, core.RecordOutcome); rec.Settled.Requests != 0 {
				t.Errorf("charged %+v", rec.Settled)
			}
			quiet(t, w)
		})
	}
}

// An exchange is decided by what was in force when it opened.
func TestPolicyIsPinned(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nmodels:\n  allow: [gpt-4o-mini]\n"})
	x := opened(t, w)
	w.SetPolicy(t, "version: 1\nmodels:\n  allow: [o3]\n")
	if _, reply := x.Admit(t.Context(), chat("")); reply != nil {
		t.Fatalf("the new policy refused an exchange of the old one: %s", reply.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	refused(403, core.ReasonModelNotAllowed)(t, w).Close(t.Context(), core.FinishInterrupted)
	if old, now := w.Record(t, core.RecordIntent).PolicyVersion, w.Record(t, core.RecordDeny).PolicyVersion; old == now {
		t.Errorf("both exchanges are recorded under the policy %s", old)
	}
}

// offTask is a task that the question has nothing to do with.
var offTask = core.Task{ID: "bees", Title: "Keep the bees on the roof", Description: "Check hives for mites and harvest honey."}

func TestObserveKeepsBothVerdicts(t *testing.T) {
	const rules = "version: 1\nmode: %s\ndeviation:\n  block: 0.01\n  warn: 0.01\n  enforce_uncalibrated: true\n"
	w := gatetest.New(t, gatetest.Options{Policy: fmt.Sprintf(rules, "observe"), Tasks: []core.Task{offTask}})
	x, _ := admitted(t, w, chat(""))
	x.Close(t.Context(), core.FinishInterrupted)
	v := w.Record(t, core.RecordIntent).Verdict
	if v.Action != core.ActionAllow || v.Decided != core.ActionBlock || v.Reason != core.ReasonOffTask {
		t.Errorf("the verdict is %+v, want allow, decided block for off_task", *v)
	}

	w = gatetest.New(t, gatetest.Options{Policy: fmt.Sprintf(rules, "enforce"), Tasks: []core.Task{offTask}})
	refused(403, core.ReasonOffTask)(t, w).Close(t.Context(), core.FinishInterrupted)
	if v := w.Record(t, core.RecordDeny).Verdict; v.Action != core.ActionBlock {
		t.Errorf("the verdict is %+v", *v)
	}
}

func TestASoftLimitWarns(t *testing.T) {
	soft := tokens(10)
	soft.Enforcement = quota.EnforceSoft
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{soft}})
	x, _ := admitted(t, w, chat(""))
	edits := answers(t, x, jsonType)
	noticed := false
	for _, h := range edits.Set {
		noticed = noticed || h[0] == "x-plumbline-notice" && strings.Contains(h[1], x.ID())
	}
	if !noticed {
		t.Errorf("the caller is not told of a soft limit that is over: %q", edits.Set)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if v := w.Record(t, core.RecordIntent).Verdict; v.Action != core.ActionWarn {
		t.Errorf("the verdict is %+v, want warn", *v)
	}
}

// When the whole does not fit, as much as is left is reserved and written into the request.
func TestTheLargestFittingOutputIsWrittenIntoTheRequest(t *testing.T) {
	for name, more := range map[string]string{"JSON": "", "a larger maximum": `,"max_completion_tokens":9000`, "a stream": streaming} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(700)}})
			x, a := admitted(t, w, chat(more))
			var sent struct {
				Most int64 `json:"max_completion_tokens"`
			}
			if err := json.Unmarshal(a.Body, &sent); err != nil {
				t.Fatalf("%v in %s", err, a.Body)
			}
			held := w.Record(t, core.RecordIntent).Reserved
			if sent.Most < quota.MinOutput || sent.Most != held.OutputTokens || held.InputTokens+held.OutputTokens != 700 {
				t.Errorf("%d were written into the request, %+v are held", sent.Most, *held)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			quiet(t, w)
		})
	}
}

// What the client did not ask for is asked for in its name, and taken out of what it gets.
func TestUsageOfAStreamIsAskedForAndTakenOut(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, a := admitted(t, w, chat(streaming))
	if !strings.Contains(string(a.Body), `"include_usage":true`) {
		t.Errorf("the provider is not asked for the usage: %s", a.Body)
	}
	answers(t, x, eventStream)
	observed(t, x, piece("All is well"), false)
	if out := observed(t, x, usageEvent(20, 3), false); len(out) != 0 {
		t.Errorf("the caller got %q", out)
	}
	observed(t, x, []byte(done), true)
	if got := w.Record(t, core.RecordOutcome).Settled; got.InputTokens != 20 || got.OutputTokens != 3 {
		t.Errorf("charged %+v", got)
	}
}
