package gate_test

import (
	"bytes"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
)

// TestARuleRefusesInTheWordsOfItsAuthor: a condition over the facts decides, is recorded by its name, replays (gatetest does
// at the end of every test), and tells the caller what its author wrote.
func TestARuleRefusesInTheWordsOfItsAuthor(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: `
version: 1
rules: [{name: mini, when: 'model.endsWith("-mini") && endpoint == "chat.completions"', then: block, mode: enforce, message: Use the large one.}]
`})
	x := opened(t, w)
	_, reply := x.Admit(t.Context(), saying("hello"))
	refusedWith(t, reply, 403, core.ReasonPolicyRule)
	if !bytes.Contains(reply.Body, []byte("Use the large one. (rules.mini)")) {
		t.Errorf("the caller is told %s", reply.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if rec := w.Record(t, core.RecordDeny); rec.Verdict.Rule != "rules.mini" {
		t.Errorf("the record says %+v", rec.Verdict)
	}
}

// TestAConditionThatCannotBeAnsweredRefuses: never a silent pass.
func TestAConditionThatCannotBeAnsweredRefuses(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: `
version: 1
rules: [{name: far, when: 'tasks[99] == "x"', then: warn, mode: enforce}]
`})
	x := opened(t, w)
	_, reply := x.Admit(t.Context(), saying("hello"))
	refusedWith(t, reply, 403, core.ReasonPolicyRule)
	x.Close(t.Context(), core.FinishInterrupted)
	if rec := w.Record(t, core.RecordDeny); rec.Verdict.Rule != "rules.far.on_error" {
		t.Errorf("the record says %+v", rec.Verdict)
	}
}

// TestAnEndpointIsForThoseWhoMayCallIt, by team and app, in every mode.
func TestAnEndpointIsForThoseWhoMayCallIt(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nendpoints: {allow: [embeddings]}\n"})
	x := opened(t, w)
	_, reply := x.Admit(t.Context(), saying("hello"))
	refusedWith(t, reply, 403, core.ReasonEndpointNotAllowed)
	if !bytes.Contains(reply.Body, []byte("Allowed: embeddings.")) {
		t.Errorf("the caller is told %s", reply.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
}
