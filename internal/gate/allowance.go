package gate

import (
	"slices"

	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
)

// allowance is what the policy says of requests in the words of the wire.
func allowance(r policy.Requests) openai.Allowance {
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
