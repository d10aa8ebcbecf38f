package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// TestRegisteredPromptsComeIntoForce: what is registered is known by the next look at the store, of its app alone; registering it
// again changes the label and nothing else; what is removed is foreign again; and an app has a bounded number.
func TestRegisteredPromptsComeIntoForce(t *testing.T) {
	ctx := t.Context()
	st, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "plumbline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, id := range []string{"helpdesk", "ide"} {
		if err := st.Apps().Put(ctx, core.App{ID: id, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	p := newPeople(scorer)
	directory, err := store.NewDirectory(ctx, store.DirectoryOptions{Store: st, OnLoad: p.load})
	if err != nil {
		t.Fatal(err)
	}
	const text = "You are the help desk of Example Ltd."
	foreign := func(app string) bool {
		t.Helper()
		if err := directory.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		_, foreign := p.current.Load().SystemPrompts(app).Split(core.Prompt{Parts: []core.Part{{Role: core.RoleSystem, Kind: core.KindText, Text: text}}})
		return len(foreign.Parts) > 0
	}
	register := func(label, text string) (core.SystemPrompt, error) {
		return RegisterPrompt(ctx, st, core.SystemPrompt{App: "helpdesk", Label: label, By: "cli:ann", Created: time.Now()}, text)
	}

	other, err := register("another", "You are somebody else altogether.")
	if err != nil || !foreign("helpdesk") {
		t.Errorf("%v; a prompt that is not registered must be foreign", err)
	}
	own, err := register("first", text)
	if err != nil || foreign("helpdesk") || foreign("ide") {
		t.Errorf("%v; a registered prompt is foreign, or one of an app that has none", err)
	}
	if again, err := register("second", " "+text+"\n"); err != nil || again.ID != own.ID {
		t.Errorf("registered again as %s, %v", again.ID, err)
	}
	all, err := RegisteredPrompts(ctx, st, "helpdesk")
	if err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if kept, err := st.SystemPrompts().Get(ctx, own.ID); err != nil || kept.Label != "second" || kept.By != "cli:ann" {
		t.Errorf("%+v, %v", kept, err)
	}
	if err := st.SystemPrompts().Delete(ctx, own.ID); err != nil || !foreign("helpdesk") {
		t.Errorf("%v; a removed prompt is not foreign", err)
	}
	if err := st.SystemPrompts().Delete(ctx, other.ID); err != nil || foreign("helpdesk") {
		t.Errorf("%v; with none registered, a prompt is foreign", err)
	}

	for i := range mostPrompts {
		if _, err := register("many", fmt.Sprintf("You are the help desk number %d.", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := register("one more", text); !errors.Is(err, store.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := register("the same", "You are the help desk number 1."); err != nil {
		t.Errorf("one that is registered already: %v", err)
	}
}
