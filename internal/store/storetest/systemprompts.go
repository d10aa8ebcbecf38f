package storetest

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

func systemPromptID(p core.SystemPrompt) string { return p.ID }

// systemPrompts: one needs its app, which it holds; registering it again changes nothing but the label; what is no fingerprint is
// refused; and each change is told.
func systemPrompts(t *testing.T, open func() store.Store) {
	st := open()
	ctx := store.WithActor(t.Context(), "cli:ann")
	p := objects().SystemPrompts[1]
	names(t, st.SystemPrompts().Put(ctx, p), store.ErrConflict, `app "ide"`)
	must(t, st.Apps().Put(ctx, core.App{ID: "ide", Created: made}))
	must(t, st.SystemPrompts().Put(ctx, p))
	must(t, st.SystemPrompts().Put(ctx, p))
	names(t, st.Apps().Delete(ctx, "ide"), store.ErrConflict, `system-prompt "sp-2"`)

	for what, wrong := range map[string]func(*core.SystemPrompt){
		"label":     func(p *core.SystemPrompt) { p.Label = "" },
		"by":        func(p *core.SystemPrompt) { p.By = "" },
		"no piece":  func(p *core.SystemPrompt) { p.Pieces = nil },
		"too short": func(p *core.SystemPrompt) { p.Pieces = []core.PromptPiece{{Bytes: 15, Sum: hash(1)}} },
		"bytes": func(p *core.SystemPrompt) {
			p.Pieces = []core.PromptPiece{{Bytes: 20, Sum: hash(1)}, {Bytes: -1, Sum: hash(1)}, {Sum: hash(1)}}
		},
		"longer": func(p *core.SystemPrompt) { p.Pieces = []core.PromptPiece{{Bytes: 1 << 40, Sum: hash(1)}} },
		"sum":    func(p *core.SystemPrompt) { p.Pieces = []core.PromptPiece{{Bytes: 20}} },
		"pieces": func(p *core.SystemPrompt) { p.Pieces = make([]core.PromptPiece, core.MaxPromptPieces+1) },
	} {
		q := p
		wrong(&q)
		if err := st.SystemPrompts().Put(ctx, q); err == nil {
			t.Errorf("%s: it was put", what)
		} else {
			names(t, err, store.ErrInvalid)
		}
	}

	must(t, st.SystemPrompts().Delete(ctx, p.ID))
	changes, err := st.Changes(ctx, 0, 10)
	must(t, err)
	var told []string
	for _, c := range changes {
		told = append(told, c.Actor+" "+c.Action+" "+c.Object)
	}
	equal(t, "the feed", []string{"cli:ann put app/ide", "cli:ann put system-prompt/sp-2", "cli:ann delete system-prompt/sp-2"}, told)
}
