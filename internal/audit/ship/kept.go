package ship

import (
	"encoding/json"
	"fmt"
)

// keptSums are the sums of a key as a log keeps them of a month that was dropped, with their hour beside them. Latency and
// deviation end with the last count that is not zero.
type keptSums struct {
	User         string  `json:"user,omitempty"`
	Team         string  `json:"team,omitempty"`
	App          string  `json:"app,omitempty"`
	Model        string  `json:"model,omitempty"`
	Intent       string  `json:"intent,omitempty"`
	Verdict      string  `json:"verdict,omitempty"`
	Decided      int64   `json:"decided,omitempty"`
	Ended        int64   `json:"ended,omitempty"`
	Requests     int64   `json:"requests,omitempty"`
	InputTokens  int64   `json:"input_tokens,omitempty"`
	OutputTokens int64   `json:"output_tokens,omitempty"`
	Cost         int64   `json:"cost_micro_usd,omitempty"`
	Latency      []int64 `json:"latency,omitempty"`
	Deviation    []int64 `json:"deviation,omitempty"`
}

// Keep gives the sums hour by hour, as Kept reads them.
func (r Rollup) Keep() (hours map[int64][]byte, err error) {
	kept := map[int64][]keptSums{}
	for _, k := range r.Keys() {
		s := r[k]
		kept[k.Hour] = append(kept[k.Hour], keptSums{
			k.User, k.Team, k.App, k.Model, k.Intent, k.Verdict, s.Decided, s.Ended, s.Requests, s.InputTokens, s.OutputTokens, s.Cost,
			trimmed(s.Latency[:]), trimmed(s.Deviation[:]),
		})
	}
	hours = map[int64][]byte{}
	for hour, sums := range kept {
		if hours[hour], err = json.Marshal(sums); err != nil {
			return nil, fmt.Errorf("audit: keeping sums: %w", err)
		}
	}
	return hours, nil
}

func trimmed(counts []int64) []int64 {
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	return counts
}

// Kept adds the sums of an hour that Keep gave.
func (r Rollup) Kept(hour int64, body []byte) error {
	var kept []keptSums
	if err := json.Unmarshal(body, &kept); err != nil {
		return fmt.Errorf("audit: the sums that are kept of a dropped hour cannot be read: %w", err)
	}
	for i := range kept {
		k := &kept[i]
		sums := Sums{
			Decided: k.Decided, Ended: k.Ended, Requests: k.Requests, InputTokens: k.InputTokens, OutputTokens: k.OutputTokens, Cost: k.Cost,
		}
		copy(sums.Latency[:], k.Latency)
		copy(sums.Deviation[:], k.Deviation)
		r.Sum(Key{hour, k.User, k.Team, k.App, k.Model, k.Intent, k.Verdict}, &sums)
	}
	return nil
}
