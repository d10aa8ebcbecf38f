package seal_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
)

// TestTheDrawHangsOnNothing: what was blocked is drawn as what was let through, however far it is and whatever is kept of it.
// A sample that verdicts chose could back no promise.
func TestTheDrawHangsOnNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, mode := range []seal.Mode{seal.ModeNone, seal.ModeHash, seal.ModeRedacted, seal.ModeSealed} {
			all := w.sealer(mode, func(o *seal.Options) { o.Sample = 1 })
			for _, kind := range []core.RecordKind{core.RecordIntent, core.RecordDeny} {
				for _, action := range []core.Action{core.ActionAllow, core.ActionWarn, core.ActionBlock} {
					r := record(kind)
					r.Verdict = &core.Verdict{Action: action, Decided: action, Reason: core.ReasonOffTask}
					r.Deviation = &core.Deviation{Task: "billing", Score: 1}
					all.Seal(t.Context(), r, seal.Content{Prompt: prompt("a prompt")})
					if r.Sealed == nil || len(r.Sealed.Sample) == 0 {
						t.Errorf("%s, %s, %s: it is not drawn", mode, kind, action)
					}
				}
			}
		}
	})
}
