package openai

import (
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Allowance says what requests may ask for beyond text: what cannot be read, what the provider fetches or runs by itself,
// and what multiplies the price. The zero value allows the least, and no answer at all.
type Allowance struct {
	// RemoteURLs lets the provider fetch images and files from addresses. An address carries text past the prompt, and
	// what is behind it may change after it was judged.
	RemoteURLs bool
	// Images, Audio and Files in the request itself, as base64. They cannot be read.
	Images, Audio, Files bool
	// FileIDs lets the input name files that were left with the provider. They cannot be read either. Whose they are is for
	// whoever forwards the request to check.
	FileIDs bool
	// HostedTools are the tools that the provider may run, by the names of HostedTools.
	HostedTools []string
	// MaxToolCalls is how often the provider may run them for one request.
	MaxToolCalls int64
	// ServiceTiers are the tiers that may be asked for.
	ServiceTiers []string
	// MaxChoices bounds how many answers, candidates or pictures a request asks for.
	MaxChoices int64
	// MaxEffort is the most reasoning that may be asked for, one of Efforts.
	MaxEffort string
}

// The tools that the provider runs and that a policy can allow.
const (
	toolWebSearch       = "web_search"
	toolCodeInterpreter = "code_interpreter"
	toolMCP             = "mcp"
	toolFileSearch      = "file_search"
)

// HostedTools are the tools that the provider runs and that a policy can allow. All others are denied: they reach objects
// that all callers share, run models that nobody is charged for, or nothing is known of them.
func HostedTools() []string {
	return []string{toolWebSearch, toolCodeInterpreter, toolMCP, toolFileSearch}
}

// ServiceTiers are the tiers of which prices can be known.
func ServiceTiers() []string { return []string{"auto", "default", "flex", "priority"} }

// Efforts are how much a model may reason, from the least on.
func Efforts() []string { return []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"} }

// notAllowed is the error of a value that was just read and that the policy does not allow. setting is the member of the
// policy's section on requests that would.
func (d *draft) notAllowed(what, setting string) *core.Error {
	return d.forbidden(d.unsupported(what), setting)
}

// forbidden words an error as one of the policy, and names the rule.
func (d *draft) forbidden(e *core.Error, setting string) *core.Error {
	e.Rule = "requests." + setting
	e.Public = strings.TrimSuffix(e.Public, ".") + " by the policy (" + e.Rule + ")."
	return e
}

// hosted refuses a tool that the provider runs, unless the policy allows it.
func (d *draft) hosted(tool string) *core.Error {
	if slices.Contains(d.allow.HostedTools, tool) {
		return nil
	}
	return d.notAllowed("would have the provider run "+tool+" by itself, which is not allowed", "hosted_tools")
}

// remote refuses an address that the provider would fetch, unless the policy allows it. An allowed one is part of the
// prompt: its text reaches the provider.
func (d *draft) remote(url []byte, turn int, media string) *core.Error {
	if !d.allow.RemoteURLs {
		return d.notAllowed("must hold the data itself as a data: URL; addresses that the provider fetches are not allowed", "remote_urls")
	}
	if !isRemote(url) {
		return d.unsupported("must be a data: URL or an https address")
	}
	d.say(core.KindMeta, turn, url)
	d.unread(turn, media)
	return nil
}

// isRemote reports whether s is an address in the form that the provider fetches.
func isRemote(s []byte) bool {
	rest, ok := strings.CutPrefix(string(s), "https://")
	if !ok {
		rest, ok = strings.CutPrefix(string(s), "http://")
	}
	return ok && rest != ""
}

// tier reads the service tier.
func (d *draft) tier() *core.Error {
	tier, e := d.choice(ServiceTiers()...)
	if e != nil || tier == "" {
		return e
	}
	if !slices.Contains(d.allow.ServiceTiers, tier) {
		return d.notAllowed("asks for the service tier "+tier+", which is not allowed", "service_tiers")
	}
	d.req.asked.tier = tier
	return nil
}

// effort reads how much the model may reason.
func (d *draft) effort() *core.Error {
	effort, e := d.choice(Efforts()...)
	if e != nil || effort == "" {
		return e
	}
	if slices.Index(Efforts(), effort) > slices.Index(Efforts(), d.allow.MaxEffort) {
		return d.notAllowed("asks for more reasoning than the "+d.allow.MaxEffort+" that is allowed", "max_effort")
	}
	return nil
}

// toolCalls reads how often the provider may run tools of its own.
func (d *draft) toolCalls() *core.Error {
	n, null, _, e := d.integer(maxTokensValue)
	if e != nil || null {
		return e
	}
	d.req.asked.maxRuns = n
	if n > d.allow.MaxToolCalls {
		return d.notAllowed("must be at most the "+strconv.FormatInt(d.allow.MaxToolCalls, 10)+" that are allowed", "max_tool_calls")
	}
	return nil
}
