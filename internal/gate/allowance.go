package gate

import (
	"slices"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
)

// allowed is what one policy says of requests, in the words of the wire.
type allowed struct {
	policy *policy.Snapshot
	// by holds the allowances by what the policy says, of which there is one for each team and app that it names.
	by sync.Map // of *policy.Requests to openai.Allowance
}

// allowance gives what a policy allows requests of a principal. It is worded once for all of one team and app.
func (g *Gate) allowance(p *policy.Snapshot, of core.Principal) openai.Allowance {
	last := g.allowed.Load()
	if last == nil || last.policy != p {
		last = &allowed{policy: p}
		g.allowed.Store(last)
	}
	says := p.RequestsOf(of)
	if worded, ok := last.by.Load(says); ok {
		return worded.(openai.Allowance) //nolint:forcetypeassert // nothing else is stored
	}
	allowance := allowanceOf(says)
	last.by.Store(says, allowance)
	return allowance
}

func allowanceOf(r *policy.Requests) openai.Allowance {
	return openai.Allowance{
		RemoteURLs:   r.RemoteURLs,
		Images:       slices.Contains(r.Inline, policy.InlineImage),
		Audio:        slices.Contains(r.Inline, policy.InlineAudio),
		Files:        slices.Contains(r.Inline, policy.InlineFile),
		FileIDs:      r.FileIDs,
		HostedTools:  words(r.HostedTools),
		MaxToolCalls: int64(r.MaxToolCalls),
		ServiceTiers: words(r.ServiceTiers),
		MaxChoices:   int64(r.MaxChoices),
		MaxEffort:    string(r.MaxEffort),
	}
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}
