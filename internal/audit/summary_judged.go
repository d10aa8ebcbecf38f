package audit

import (
	"bytes"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// AppendExplanation appends what Explanation gives of the record. The summary must be Summarize's: its texts are ASCII.
func (s *Summary) AppendExplanation(b []byte) []byte {
	reason := s.Reason
	if string(reason) == string(core.ReasonNone) {
		reason = nil
	}
	kind, _, _ := bytes.Cut(s.changed, []byte{'/'})
	start := len(b)
	for _, part := range [...][]byte{reason, s.rule, s.Task, s.phrase, s.unscored, s.intentUnscored, s.change, kind} {
		if len(part) == 0 {
			continue
		}
		if len(b) > start {
			b = append(b, '\n')
		}
		for _, c := range part {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
		}
	}
	return b[:min(len(b), start+maxExplanation)]
}

// Counted is a record as far as sums go by it, read from a summary. Its texts are interned; it is used again for the next one.
type Counted struct {
	Record    core.Record
	verdict   core.Verdict
	intent    core.Intent
	deviation core.Deviation
	settled   core.Charge
	names     map[string]string
}

// maxNames bounds the texts that are remembered, and longestName how long they are: persons, teams, apps and models are fewer.
const maxNames, longestName = 1 << 16, 256

// Set makes it the record of a summary of Summarize's.
func (c *Counted) Set(s *Summary) {
	c.Record = core.Record{
		Kind: core.RecordKind(c.name(s.Kind)), Reason: core.Reason(c.name(s.Reason)), Model: c.name(s.Model),
		Time:      time.UnixMicro(s.Time).UTC(),
		Principal: core.Principal{User: c.name(s.User), Team: c.name(s.Team), App: c.name(s.App)},
	}
	if s.hasVerdict {
		c.verdict = core.Verdict{Action: core.Action(c.name(s.Action))}
		c.Record.Verdict = &c.verdict
	}
	if s.hasIntent {
		c.intent = core.Intent{Label: c.name(s.Intent)}
		c.Record.Intent = &c.intent
	}
	if s.hasDeviation {
		c.deviation = core.Deviation{Score: s.score, Unscored: core.Unscored(c.name(s.unscored))}
		c.Record.Deviation = &c.deviation
	}
	if s.hasSettled {
		n := &s.settled
		c.settled = core.Charge{
			Admitted: time.UnixMicro(n[0]).UTC(), Requests: n[1], InputTokens: n[2], OutputTokens: n[3], Cost: core.MicroUSD(n[4]),
		}
		c.Record.Settled = &c.settled
	}
}

// name gives a text that is kept once, however often it is asked for.
func (c *Counted) name(text []byte) string {
	if name, ok := c.names[string(text)]; ok {
		return name
	}
	if c.names == nil || len(c.names) >= maxNames {
		c.names = map[string]string{}
	}
	name := string(text)
	if len(name) <= longestName {
		c.names[name] = name
	}
	return name
}
