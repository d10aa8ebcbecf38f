package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/sysprompt"
)

// mostPrompts is how many system prompts an app may register: a request of it is compared with each.
const mostPrompts = 100

// RegisterPrompt registers a text as an app's own. Of p it takes the app, the label, who registers it, and when. One that is
// registered already gets the label.
func RegisterPrompt(ctx context.Context, st store.Store, p core.SystemPrompt, text string) (core.SystemPrompt, error) {
	made, err := sysprompt.Fingerprint(p.App, text)
	if err != nil {
		return p, fmt.Errorf("this cannot be a system prompt of its own: %w", err)
	}
	p.ID, p.Pieces = made.ID, made.Pieces
	others, err := RegisteredPrompts(ctx, st, p.App)
	if err != nil {
		return p, err
	}
	known := slices.ContainsFunc(others, func(other core.SystemPrompt) bool { return other.ID == p.ID })
	if !known && len(others) >= mostPrompts {
		return p, &store.ObjectError{Kind: "system-prompt", ID: p.ID, Err: store.ErrTooMany, Detail: fmt.Sprintf(
			"app %s has %d; remove those that it sends no more, or write what varies as {{name}}", p.App, len(others))}
	}
	return p, st.SystemPrompts().Put(ctx, p)
}

// RegisteredPrompts gives the system prompts of an app, of all apps if it is empty.
func RegisteredPrompts(ctx context.Context, st store.Store, app string) ([]core.SystemPrompt, error) {
	all, err := store.All(ctx, st.SystemPrompts(), func(p core.SystemPrompt) string { return p.ID })
	return slices.DeleteFunc(all, func(p core.SystemPrompt) bool { return app != "" && p.App != app }), err
}

// FixedBytes is the length of a system prompt without what varies.
func FixedBytes(p core.SystemPrompt) (n int) {
	for _, piece := range p.Pieces {
		n += piece.Bytes
	}
	return n
}
