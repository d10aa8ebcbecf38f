package cli

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
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
	List   tokenListCmd   `cmd:"" help:"List the tokens that were issued, without the tokens themselves."`
	Revoke tokenRevokeCmd `cmd:"" help:"End one token, those of a session, or all of a person or app that were issued so far."`
	Show   tokenShowCmd   `cmd:"" name:"inspect" help:"Say what would be made of a token, and why."`
}

type tokenIssueCmd struct {
	User        string        `help:"The person it is for."`
	App         string        `help:"The app it is for."`
	Session     string        `help:"A name by which it can be revoked together with others."`
	Actor       string        `help:"Who acts for the person or app; it is recorded and has no rights."`
	Certificate string        `help:"PEM file of the client certificate that the token is bound to: it is worth nothing on connections that do not prove it." placeholder:"FILE" type:"existingfile"`
	Lifetime    time.Duration `help:"How long it is good for." default:"1h"`
}

func (c tokenIssueCmd) Run(s *session) error {
	if c.User == "" && c.App == "" {
		return configError{errors.New("token issue takes --user, --app or both")}
	}
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	request := identity.IssueRequest{User: c.User, App: c.App, Session: c.Session, Actor: c.Actor, Lifetime: c.Lifetime}
	if c.Certificate != "" {
		if request.Certificate, err = certificateDigest(c.Certificate); err != nil {
			return err
		}
	}
	return s.withStore(func(st store.Store) error {
		token, kept, err := app.IssueToken(s.ctx, st, cfg.Identity, request)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "token %s, good until %s\n", kept.ID, when(kept.Expires))
		return s.say(credential{kept.ID, token, kept.Expires.UTC()}, "%s", token)
	})
}

// certificateDigest is the SHA-256 of the first certificate of a PEM file.
func certificateDigest(path string) (digest [32]byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return digest, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return digest, fmt.Errorf("%s does not begin with a certificate in PEM", path)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return digest, fmt.Errorf("%s: %w", path, err)
	}
	return sha256.Sum256(block.Bytes), nil
}

type tokenListCmd struct{}

// listedToken is what is kept of a token, and whether it is good.
type listedToken struct {
	core.IssuedToken
	State string `json:"state"` // good, revoked or expired
}

func (tokenListCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		tokens, err := store.All(s.ctx, st.Tokens(), func(t core.IssuedToken) string { return t.ID })
		if err != nil {
			return err
		}
		states, err := app.TokenStates(s.ctx, st, tokens)
		if err != nil {
			return err
		}
		all := make([]listedToken, len(tokens))
		for i, t := range tokens {
			all[i] = listedToken{t, states[i]}
		}
		return s.print(all, []string{"TOKEN", "USER", "APP", "SESSION", "ISSUED", "EXPIRES", "STATE"}, func(i int) []string {
			t := all[i]
			return []string{t.ID, t.User, t.App, t.Session, when(t.Created), when(t.Expires), t.State}
		})
	})
}

type tokenRevokeCmd struct {
	ID      string `help:"The token's id (jti)." xor:"which" required:""`
	Subject string `help:"The person or app whose tokens that were issued so far are revoked." xor:"which" required:""`
	Session string `help:"The session (sid) whose tokens are revoked." xor:"which" required:""`
}

func (c tokenRevokeCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		err := app.RevokeToken(s.ctx, st, cfg.Identity, core.Revocation{TokenID: c.ID, Subject: c.Subject, Session: c.Session})
		switch {
		case c.Subject != "":
			return s.done(err, "the tokens of %s that were issued so far are revoked", c.Subject)
		case c.Session != "":
			return s.done(err, "the tokens of session %s are revoked", c.Session)
		}
		return s.done(err, "token %s is revoked", c.ID)
	})
}

type signingKeyCmd struct {
	List   signingKeyListCmd   `cmd:"" help:"List the keys that sign and verify Plumbline's tokens, without the keys themselves."`
	Rotate signingKeyRotateCmd `cmd:"" help:"Sign with a new key from now on. Those before it verify until their last token has expired."`
	Delete signingKeyDeleteCmd `cmd:"" help:"End a key, and every token that it signed, at once: for one that was stolen."`
}

type signingKeyListCmd struct{}

func (signingKeyListCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return listing[core.SigningKey]{
		"signing key",
		store.Store.SigningKeys,
		[]string{"KEY", "ALGORITHM", "CREATED", "RETIRED", "VERIFIES UNTIL"},
		func(k core.SigningKey) []string {
			until := time.Time{}
			if !k.Retired.IsZero() {
				until = k.Retired.Add(app.TokenLife(cfg.Identity))
			}
			return []string{k.ID, k.Alg, when(k.Created), when(k.Retired), when(until)}
		},
	}.list(s)
}

type signingKeyRotateCmd struct {
	Alg string `help:"EdDSA (Ed25519) or ES256 (P-256)." enum:"EdDSA,ES256" default:"EdDSA"`
}

func (c signingKeyRotateCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		key, err := app.RotateSigningKey(s.ctx, st, cfg.Identity, c.Alg)
		return s.done(err, "signing key %s signs from now on", key.ID)
	})
}

type signingKeyDeleteCmd struct {
	ID string `arg:"" help:"The key's id, as signing-key list shows it."`
}

func (c signingKeyDeleteCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		return s.done(st.SigningKeys().Delete(s.ctx, c.ID), "signing key %s is deleted, and nothing that it signed is good any more", c.ID)
	})
}
