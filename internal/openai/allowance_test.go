package openai

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

// Each kind of what a policy can allow is refused without it, in words that name the rule, and read with it.
func TestAllowance(t *testing.T) {
	say := func(part string) string {
		return `{"model":"gpt-4o","input":[{"role":"user","content":[` + part + `]}]`
	}
	for _, tt := range []struct {
		name, endpoint, body string
		allow                func(*Allowance)
		rule                 string
		contexts             int64 // that the input can fill
		opaque               bool
	}{
		{"an image to be fetched", "responses", say(`{"type":"input_image","image_url":"https://x/y.png"}`), func(a *Allowance) { a.RemoteURLs = true }, "remote_urls", 0, true},
		{"an image of a chat to be fetched", "chat.completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`, func(a *Allowance) { a.RemoteURLs = true }, "remote_urls", 0, true},
		{"a file to be fetched", "responses", say(`{"type":"input_file","file_url":"https://x/y.pdf"}`), func(a *Allowance) { a.RemoteURLs = true }, "remote_urls", 1, true},
		{"an image", "responses", say(`{"type":"input_image","image_url":"data:image/png;base64,aGk="}`), func(a *Allowance) { a.Images = true }, "inline", 0, true},
		{"an image to moderate", "moderations", `{"input":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]`, func(a *Allowance) { a.Images = true }, "inline", 0, true},
		{"audio", "chat.completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}]}]`, func(a *Allowance) { a.Audio = true }, "inline", 0, true},
		{"a file", "responses", say(`{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}`), func(a *Allowance) { a.Files = true }, "inline", 1, true},
		{"a file in a chat", "chat.completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"aGk="}}]}]`, func(a *Allowance) { a.Files = true }, "inline", 1, true},
		{"a tool of the provider's", "responses", leastBodies["responses"] + `,"tools":[{"type":"web_search","search_context_size":"low"}],"max_tool_calls":3`, func(a *Allowance) { a.HostedTools = []string{"web_search"} }, "hosted_tools", 4, false},
		{"a search in a chat", "chat.completions", leastBodies["chat.completions"] + `,"web_search_options":{}`, func(a *Allowance) { a.HostedTools = []string{"web_search"} }, "hosted_tools", 2, false},
		{"a call of a tool of the provider's", "responses", `{"model":"m","input":[{"type":"mcp_call","id":"m1","name":"f","arguments":"{}","server_label":"s","output":"x"}]`, func(a *Allowance) { a.HostedTools = []string{"mcp"} }, "hosted_tools", 0, false},
		{"a dearer tier", "responses", leastBodies["responses"] + `,"service_tier":"priority"`, func(a *Allowance) { a.ServiceTiers = []string{"priority"} }, "service_tiers", 0, false},
		{"more answers", "completions", leastBodies["completions"] + `,"n":5`, func(a *Allowance) { a.MaxChoices = 5 }, "max_choices", 0, false},
		{"more candidates", "completions", leastBodies["completions"] + `,"best_of":5`, func(a *Allowance) { a.MaxChoices = 5 }, "max_choices", 0, false},
		{"more pictures", "images.generations", leastBodies["images.generations"] + `,"n":5`, func(a *Allowance) { a.MaxChoices = 5 }, "max_choices", 0, false},
		{"more reasoning", "responses", leastBodies["responses"] + `,"reasoning":{"effort":"xhigh"}`, func(a *Allowance) { a.MaxEffort = "xhigh" }, "max_effort", 0, false},
		{"more reasoning in a chat", "chat.completions", leastBodies["chat.completions"] + `,"reasoning_effort":"high"`, func(a *Allowance) { a.MaxEffort = "max" }, "max_effort", 0, false},
		{"more calls of tools", "responses", leastBodies["responses"] + `,"max_tool_calls":7`, func(a *Allowance) { a.MaxToolCalls = 7 }, "max_tool_calls", 0, false},
	} {
		allow := Allowance{MaxChoices: 4, MaxEffort: "medium", MaxToolCalls: 3}
		_, e := read(tt.endpoint, tt.body+"}", allow)
		if e == nil || e.Reason != core.ReasonUnsupportedParameter || e.Rule != "requests."+tt.rule || !strings.Contains(e.Public, e.Rule) {
			t.Errorf("%s is not refused by %s: %+v", tt.name, tt.rule, e)
		}
		tt.allow(&allow)
		r, e := read(tt.endpoint, tt.body+"}", allow)
		if e != nil {
			t.Errorf("%s: %s", tt.name, e.Public)
			continue
		}
		if r.Contexts() != tt.contexts || r.Opaque != tt.opaque {
			t.Errorf("%s: the input can fill %d contexts, opaque %v", tt.name, r.Contexts(), r.Opaque)
		}
	}
}

// A tool of the provider's needs a bound on how often it runs, and reaches no objects.
func TestHostedToolsAreBounded(t *testing.T) {
	allow := allowance()
	allow.HostedTools = HostedTools()
	for more, param := range map[string]string{
		`,"tools":[{"type":"web_search"}]`:                                                                       "max_tool_calls",
		`,"max_tool_calls":1,"tools":[{"type":"code_interpreter","container":"cntr_1"}]`:                         "tools[0].container",
		`,"max_tool_calls":1,"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["f"]}}]`: "tools[0].container.file_ids",
		`,"max_tool_calls":1,"tools":[{"type":"mcp","server_label":"x","connector_id":"c"}]`:                     "tools[0].connector_id",
	} {
		if _, e := read("responses", leastBodies["responses"]+more+"}", allow); e == nil || e.Param != param {
			t.Errorf("%s: %+v", more, e)
		}
	}
	r, e := read("responses", leastBodies["responses"]+`,"max_tool_calls":1,"tools":[{"server_label":"s","server_url":"https://x","type":"mcp"}]}`, allow)
	if e != nil || !strings.Contains(strings.Join(promptTexts(r), " "), "https://x") {
		t.Errorf("%+v", e)
	}
}
