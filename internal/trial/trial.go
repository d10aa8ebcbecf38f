// Package trial judges requests that nobody sent: prompts that somebody tries, and the cases of a policy document.
//
// Contract: a made-up request takes the way of a real one from its prompt on: gate.Judges find what it is, and policy.Decide
// decides. What comes before and after does not happen: credentials, the reading of a body with what `requests` says of it,
// limits. Nothing is recorded, counted or learnt from.
//
// It imports calibrate, core, deviation, gate, openai, policy, sysprompt and telemetry. It must not import a front end or a back end.
package trial

import (
	"cmp"
	"time"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Request is one that is made up.
type Request struct {
	Principal core.Principal
	At        time.Time
	// Endpoint is what is called by its name, policy.CaseEndpoint where it is empty. To one that takes no prompt, System and Text
	// are not sent.
	Endpoint string
	// Model is the one that is asked for. Without one no rule on models applies.
	Model string
	// System is what the app tells the model before, empty for nothing, and Text what the person asks.
	System, Text string
}

// prompt is the request as the gate reads it: a message of the app, where it says something, and one of the person.
func (r Request) prompt() core.Prompt {
	var p core.Prompt
	if r.System != "" {
		p.Parts = append(p.Parts, core.Part{Role: core.RoleSystem, Kind: core.KindText, Text: r.System})
	}
	p.Parts = append(p.Parts, core.Part{Role: core.RoleUser, Kind: core.KindText, Turn: len(p.Parts), Text: r.Text})
	return p
}

// Judge is what requests are judged by.
type Judge struct {
	Policy *policy.Snapshot
	// Classifier knows the classes that Policy adds.
	Classifier gate.Classifier
	Scorer     *deviation.Scorer
	// Prompts are the registered system prompts, by app.
	Prompts map[string]*sysprompt.Set
	// Calibration is what labelled prompts say of scores, nil for nothing.
	Calibration *calibrate.InForce
	// Priced reports whether a model has a price.
	Priced func(model string) bool
}

// upload is the endpoint that takes a file, which nobody reads.
const upload = "files.create"

// Facts gives what Policy decides about a request on, beside the tasks that are assigned to who asks. They hold words of the
// prompt.
func (j Judge) Facts(r Request, tasks []*deviation.Task) policy.Facts {
	f := policy.Facts{
		At: r.At, PolicyVersion: j.Policy.Version(), Principal: r.Principal, Endpoint: cmp.Or(r.Endpoint, policy.CaseEndpoint),
		Model: r.Model, Priced: r.Model != "" && j.Priced(r.Model),
	}
	switch {
	case f.Endpoint == upload:
		f.Intent.Unscored, f.Deviation.Unscored, f.Opaque = core.UnscoredOpaque, core.UnscoredOpaque, []string{openai.KnownMedia("")}
		return f
	case !openai.HasPrompt(f.Endpoint):
		return f
	}
	judges := gate.Judges{
		Classifier: j.Classifier, Scorer: j.Scorer, Prompts: j.Prompts[r.Principal.App],
		Calibration: j.Calibration, Enough: j.Policy.Enough(),
	}
	judges.Judge(&f, r.prompt(), tasks, func(telemetry.Stage) {})
	return f
}
