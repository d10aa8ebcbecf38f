package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Case says what must become of one prompt. Cases are run by `plumbline policy test`, and change no verdict.
type Case struct {
	Name     string    `json:"name" doc:"What the report calls the case. Default: its place."`
	Prompt   string    `json:"prompt" doc:"What is asked. None where endpoint takes no prompt."`
	System   string    `json:"system,omitzero" doc:"What the app tells the model before. See case_system_prompts."`
	User     string    `json:"user,omitzero" doc:"Who asks. Default: case."`
	Team     string    `json:"team,omitzero" doc:"Their team."`
	App      string    `json:"app,omitzero" doc:"The app that asks."`
	Endpoint string    `json:"endpoint,omitzero" doc:"What is called. Default: chat.completions."`
	Model    string    `json:"model,omitzero" doc:"The model that is asked for. Default: none, and no rule on models applies."`
	Tasks    []string  `json:"tasks,omitzero" doc:"The ids of their tasks, of case_tasks."`
	At       time.Time `json:"at,omitzero" doc:"When, like 2026-03-02T09:30:00Z. Default: a Monday at noon, UTC."`

	Verdict CaseVerdict `json:"verdict" doc:"What must be decided, whatever the mode. Required."`
	Action  CaseVerdict `json:"action,omitzero" doc:"What must be done under the mode."`
	Rule    string      `json:"rule,omitzero" doc:"The rule that must decide, e.g. deviation.block."`
}

// CaseVerdict is what a case expects, in the words of core.Action.
type CaseVerdict string

// Values lists the verdicts.
func (CaseVerdict) Values() []string { return []string{"allow", "warn", "block"} }

// CaseTask is a task that cases name.
type CaseTask struct {
	ID          string   `json:"id" doc:"What cases call it."`
	Title       string   `json:"title" doc:"What the work is called."`
	Description string   `json:"description,omitzero" doc:"What it is, in a few sentences."`
	Topics      []string `json:"topics,omitzero" doc:"Topics that it covers."`
	Examples    []string `json:"examples,omitzero" doc:"Prompts that belong to it."`
	OutOfScope  []string `json:"out_of_scope,omitzero" doc:"Prompts that seem to belong to it, and do not."`
}

// CaseSystemPrompt is a system prompt that is registered for an app as far as cases go.
type CaseSystemPrompt struct {
	App  string `json:"app" doc:"The app whose own it is. Required."`
	Text string `json:"text" doc:"The text as it is registered: parts that vary are written {{name}}. Required."`
}

// Bounds of the cases of one document.
const (
	maxCases       = 1000
	maxCaseTasks   = 100
	maxCasePrompts = 100
)

// Where a case says nothing.
const (
	CaseUser     = "case"
	CaseEndpoint = "chat.completions"
)

// CaseTime is when a case happens that does not say when: a Monday at noon.
var CaseTime = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Cases are those of the document. They must not be changed.
func (s *Snapshot) Cases() []Case { return s.doc.Cases }

// CaseTasks are the tasks that they name. They must not be changed.
func (s *Snapshot) CaseTasks() []core.Task {
	tasks := make([]core.Task, len(s.doc.CaseTasks))
	for i, t := range s.doc.CaseTasks {
		tasks[i] = core.Task{
			ID: t.ID, Title: t.Title, Description: t.Description, Topics: t.Topics, Examples: t.Examples, OutOfScope: t.OutOfScope,
		}
	}
	return tasks
}

// CaseSystemPrompts are the system prompts that cases find registered.
func (s *Snapshot) CaseSystemPrompts() []core.SystemPrompt {
	var all []core.SystemPrompt
	for _, c := range s.doc.CaseSystemPrompts {
		if p, err := sysprompt.Fingerprint(c.App, c.Text); err == nil { // it was seen when the document was read
			all = append(all, p)
		}
	}
	return all
}

func checkCases(src *yamldoc.Document, doc *Document, o options) {
	if n := len(doc.Cases); n > maxCases {
		src.Problem("cases", fmt.Sprintf("has %d cases; at most %d are allowed", n, maxCases))
		return
	}
	if n := len(doc.CaseTasks); n > maxCaseTasks {
		src.Problem("case_tasks", fmt.Sprintf("has %d tasks; at most %d are allowed", n, maxCaseTasks))
		return
	}
	if n := len(doc.CaseSystemPrompts); n > maxCasePrompts {
		src.Problem("case_system_prompts", fmt.Sprintf("has %d entries; at most %d are allowed", n, maxCasePrompts))
		return
	}
	checkCasePrompts(src, doc.CaseSystemPrompts)
	ids := checkCaseTasks(src, doc.CaseTasks)
	for i := range doc.Cases {
		checkCase(src, yamldoc.Index("cases", i), &doc.Cases[i], ids, o)
	}
}

// checkCaseTasks gives the ids of the tasks.
func checkCaseTasks(src *yamldoc.Document, tasks []CaseTask) []string {
	var ids []string
	for i, t := range tasks {
		at := yamldoc.Index("case_tasks", i)
		switch {
		case t.ID == "":
			src.Problem(at+".id", "is missing; give the task an id")
		case slices.Contains(ids, t.ID):
			src.Problem(at+".id", "the same id as that of a task before")
		case strings.TrimSpace(t.Title) == "":
			src.Problem(at+".title", "is missing; say what the work is called")
		}
		ids = append(ids, t.ID)
	}
	return ids
}

func checkCasePrompts(src *yamldoc.Document, prompts []CaseSystemPrompt) {
	for i, p := range prompts {
		at := yamldoc.Index("case_system_prompts", i)
		if p.App == "" {
			src.Problem(at+".app", "is missing; say whose own the text is")
		}
		if !written(src, at+".text") {
			src.Problem(at+".text", "is missing; say what the app tells its model")
		} else if _, err := sysprompt.Fingerprint(p.App, p.Text); err != nil {
			src.Problem(at+".text", "cannot be registered: "+err.Error())
		}
	}
}

func checkCase(src *yamldoc.Document, at string, c *Case, tasks []string, o options) {
	mute := slices.Contains(o.mute, c.Endpoint)
	for _, said := range []struct{ field, text string }{{"prompt", c.Prompt}, {"system", c.System}} {
		if mute && said.text != "" {
			src.Problem(at+"."+said.field, c.Endpoint+" takes no prompt, and nothing is judged there; leave this out, or name another endpoint")
		}
	}
	if !mute && !written(src, at+".prompt") {
		src.Problem(at+".prompt", "is missing; say what is asked")
	}
	if !written(src, at+".verdict") {
		src.Problem(at+".verdict", "is missing; write allow, warn or block")
	}
	for i, id := range c.Tasks {
		if !slices.Contains(tasks, id) {
			src.Problem(yamldoc.Index(at+".tasks", i), "stands not in case_tasks"+yamldoc.DidYouMean(id, tasks))
		}
	}
	if c.Endpoint != "" && o.endpoints != nil && !slices.Contains(o.endpoints, c.Endpoint) {
		src.Problem(at+".endpoint", "is no endpoint"+yamldoc.DidYouMean(c.Endpoint, o.endpoints))
	}
}
