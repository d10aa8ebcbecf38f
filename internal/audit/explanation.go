package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Explanation is the text of a record's reason, in lower case: its code, the rule that decided, the nearest task and the
// nearest piece of that task's text, why something could not be scored; of a change, what was done to which kind of object.
// Parts stand on lines of their own. It is empty where there was nothing to object to and nothing was scored.
//
// Whoever describes tasks and writes policies makes these texts. Callers cannot: so few are different.
func Explanation(r *core.Record) string {
	var parts []string
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if r.Reason != core.ReasonNone {
		add(string(r.Reason))
	}
	if r.Verdict != nil {
		add(r.Verdict.Rule)
	}
	if d := r.Deviation; d != nil {
		add(d.Task)
		add(d.Phrase)
		add(string(d.Unscored))
	}
	if r.Intent != nil {
		add(string(r.Intent.Unscored))
	}
	if r.Admin != nil {
		kind, _, _ := strings.Cut(r.Admin.Object, "/")
		add(r.Admin.Action)
		add(kind)
	}
	return core.Head(strings.ReplaceAll(strings.ToLower(strings.Join(parts, "\n")), "\x00", "\uFFFD"), maxExplanation)
}

// maxExplanation bounds the text of a reason, in bytes. Rules, tasks and phrases are much shorter.
const maxExplanation = 1024

// ExplanationID is a number that stands for an explanation, 0 for none. Two texts could have one.
func ExplanationID(text string) int64 {
	if text == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// ReasonsSaying gives the reasons whose public words hold a text, in any case.
func ReasonsSaying(said string) (found []core.Reason) {
	said = strings.ToLower(said)
	for _, d := range core.Reasons() {
		if strings.Contains(strings.ToLower(d.Meaning), said) && d.Reason != core.ReasonNone {
			found = append(found, d.Reason)
		}
	}
	return found
}
