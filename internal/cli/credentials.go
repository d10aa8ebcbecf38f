package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an app key. It is shown once."`
	List   keyListCmd   `cmd:"" help:"List app keys, without the keys themselves."`
	Revoke keyRevokeCmd `cmd:"" help:"End an app key at once."`
}

type keyCreateCmd struct {
	App     string        `help:"The app that will use it." required:""`
	User    string        `help:"The person it acts for."`
	Expires time.Duration `help:"How long it is good for, e.g. 2160h for 90 days." default:"2160h"`
}

func (c keyCreateCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		secret, key, err := app.CreateKey(s.ctx, st, c.App, c.User, c.Expires)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "key %s of app %s, good until %s. It is not shown again.\n", key.ID, key.App, when(key.Expires))
		return s.say(credential{key.ID, secret, key.Expires.UTC()}, "%s", secret)
	})
}

// credential is a new key or token, for programs that make them. Plumbline keeps it nowhere.
type credential struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Expires time.Time `json:"expires"`
}

var keys = listing[core.AppKey]{
	"key",
	store.Store.Keys,
	[]string{"KEY", "APP", "USER", "ENDS WITH", "EXPIRES", "REVOKED"},
	func(k core.AppKey) []string {
		return []string{k.ID, k.App, k.User, "…" + k.Hint, when(k.Expires), when(k.Revoked)}
	},
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime) + " UTC"
}

type keyListCmd struct{}

func (keyListCmd) Run(s *session) error { return keys.list(s) }

type keyRevokeCmd struct {
	ID string `arg:"" help:"The key's id, as key list shows it."`
}

func (c keyRevokeCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		return s.done(app.RevokeKey(s.ctx, st, c.ID), "key %s is revoked", c.ID)
	})
}

type tokenCmd struct {
	Issue  tokenIssueCmd  `cmd:"" help:"Sign a token for a person or an app."`
	Revoke tokenRevokeCmd `cmd:"" help:"End one token, or all of a person that were issued so far."`
	Show   tokenShowCmd   `cmd:"" name:"inspect" help:"Say what would be made of a token, and why."`
}

type tokenIssueCmd struct {
	User     string        `help:"The person it is for."`
	App      string        `help:"The app it is for."`
	Lifetime time.Duration `help:"How long it is good for." default:"1h"`
}

func (c tokenIssueCmd) Run(s *session) error {
	if c.User == "" && c.App == "" {
		return configError{errors.New("token issue takes --user, --app or both")}
	}
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		token, id, expires, err := app.IssueToken(s.ctx, st, cfg.Identity, c.User, c.App, c.Lifetime)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "token %s, good until %s\n", id, when(expires))
		return s.say(credential{id, token, expires.UTC()}, "%s", token)
	})
}

type tokenRevokeCmd struct {
	ID      string `arg:"" optional:"" help:"The token's id (jti)."`
	Subject string `help:"Revoke all tokens of this person or app that were issued so far."`
}

func (c tokenRevokeCmd) Run(s *session) error {
	if (c.ID == "") == (c.Subject == "") {
		return configError{errors.New("token revoke takes a token's id or --subject, one of them")}
	}
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		err := app.RevokeToken(s.ctx, st, cfg.Identity, c.ID, c.Subject)
		if c.Subject != "" {
			return s.done(err, "the tokens of %s that were issued so far are revoked", c.Subject)
		}
		return s.done(err, "token %s is revoked", c.ID)
	})
}
