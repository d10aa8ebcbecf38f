package gate

import (
	"slices"

	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
)

// allowed is what one policy says of requests, in the words of the wire.
type allowed struct {
	policy    *policy.Snapshot
	allowance openai.Allowance
}

// allowance gives what p allows requests. It is the same for all requests under one policy, and worded once for them.
func (g *Gate) allowance(p *policy.Snapshot) openai.Allowance {
	last := g.allowed.Load()
	if last == nil || last.policy != p {
		last = &allowed{policy: p, allowance: allowanceOf(p.Requests())}
		g.allowed.Store(last)
	}
	return last.allowance
}

func allowanceOf(r policy.Requests) openai.Allowance {
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
