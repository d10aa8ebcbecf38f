package cli

import (
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

type appPromptCmd struct {
	Add    appPromptAddCmd    `cmd:"" help:"Register a system prompt of an app. Its fingerprint is kept, and not its text."`
	List   appPromptListCmd   `cmd:"" help:"List the registered system prompts, of one app or of all."`
	Remove appPromptRemoveCmd `cmd:"" help:"Take a system prompt back: it is judged as a person's request again, or the app has none that is known."`
}

type appPromptAddCmd struct {
	App   string `arg:"" help:"The app."`
	File  string `arg:"" help:"File with the text, - for standard input. Parts that vary are written {{name}}."`
	Label string `help:"What people call it." required:""`
}

func (c appPromptAddCmd) Run(s *session) error {
	text, err := readSystemPrompt(s.in, c.File)
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		p, err := app.RegisterPrompt(s.ctx, st, core.SystemPrompt{App: c.App, Label: c.Label, By: actor(), Created: time.Now()}, text)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "system prompt %s of app %s is registered: %d fixed bytes, %d parts that vary\n",
			p.ID, p.App, app.FixedBytes(p), len(p.Pieces)-1)
		return s.say(p, "%s", p.ID)
	})
}

type appPromptListCmd struct {
	App string `arg:"" optional:"" help:"The app; without, all."`
}

func (c appPromptListCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		all, err := app.RegisteredPrompts(s.ctx, st, c.App)
		if err != nil {
			return err
		}
		return s.print(all, []string{"PROMPT", "APP", "LABEL", "BYTES", "VARYING PARTS", "REGISTERED BY", "REGISTERED"}, func(i int) []string {
			p := all[i]
			return []string{p.ID, p.App, p.Label, fmt.Sprint(app.FixedBytes(p)), fmt.Sprint(len(p.Pieces) - 1), p.By, when(p.Created)}
		})
	})
}

type appPromptRemoveCmd struct {
	ID string `arg:"" help:"The prompt's id, as app prompt list shows it."`
}

func (c appPromptRemoveCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		return s.done(st.SystemPrompts().Delete(s.ctx, c.ID), "system prompt %s is registered no more", c.ID)
	})
}
