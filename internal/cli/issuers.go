package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

type checkKeysCmd struct {
	Issuer string `help:"Only this issuer."`
}

// issuerKeys is what an issuer publishes.
type issuerKeys struct {
	Issuer string               `json:"issuer"`
	Keys   []identity.KeyReport `json:"keys"`
	// Problem is why none of its tokens can be verified, empty when they can.
	Problem string `json:"problem,omitempty"`
}

func (c checkKeysCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	var all []issuerKeys
	failed := false
	for _, i := range cfg.Identity.Issuers {
		if c.Issuer != "" && c.Issuer != i.Issuer {
			continue
		}
		keys := s.keysOf(i)
		failed = failed || keys.Problem != ""
		all = append(all, keys)
	}
	switch {
	case len(all) == 0 && c.Issuer != "":
		return configError{fmt.Errorf("identity.issuers has no issuer %q", c.Issuer)}
	case len(all) == 0:
		return configError{errors.New("identity.issuers is empty: no issuer is trusted but Plumbline itself")}
	}
	rows := keyRows(all)
	err = s.printOne(all, []string{"ISSUER", "KEY", "TYPE", "USE", "VERIFIES", "NOTE"}, len(rows), func(i int) []string { return rows[i] })
	if err == nil && failed {
		return errProblems
	}
	return err
}

func (s *session) keysOf(i config.Issuer) issuerKeys {
	keys := issuerKeys{Issuer: i.Issuer, Keys: []identity.KeyReport{}}
	set, err := app.FetchKeys(s.ctx, i)
	switch {
	case err != nil:
		keys.Problem = err.Error()
		return keys
	case set.Len() == 0:
		keys.Problem = "no key can verify a token"
	}
	keys.Keys = append(keys.Keys, set.Reports()...)
	return keys
}

func keyRows(all []issuerKeys) (rows [][]string) {
	for _, i := range all {
		for _, k := range i.Keys {
			note := ""
			if k.Ignored != "" {
				note = "ignored: " + k.Ignored
			}
			rows = append(rows, []string{i.Issuer, k.ID, k.Type, k.Use, strings.Join(k.Algorithms, " "), note})
		}
		if i.Problem != "" {
			rows = append(rows, []string{i.Issuer, "", "", "", "", "PROBLEM: " + i.Problem})
		}
	}
	return rows
}

type tokenShowCmd struct {
	File string `arg:"" optional:"" type:"existingfile" help:"The file that holds the token. Default: standard input."`
}

// maxTokenFile bounds what is read. A token that is longer than one may be is refused as such.
const maxTokenFile = 64 << 10

// Run takes no token as an argument: arguments are seen by other users and kept in histories.
func (c tokenShowCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	in := s.in
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTokenFile))
	if err != nil {
		return err
	}
	token := strings.TrimPrefix(strings.TrimSpace(string(text)), "Bearer ")
	return s.withStore(func(st store.Store) error {
		found, err := app.InspectToken(s.ctx, st, cfg.Identity, token)
		if err != nil {
			return err
		}
		rows := inspectionRows(found)
		err = s.printOne(found, []string{"WHAT", "VALUE"}, len(rows), func(i int) []string { return rows[i] })
		if err == nil && found.Principal == nil {
			return errProblems
		}
		return err
	})
}

func inspectionRows(i identity.Inspection) (rows [][]string) {
	for _, m := range i.Header {
		rows = append(rows, []string{"header " + m.Name, shown(m)})
	}
	for _, m := range i.Claims {
		rows = append(rows, []string{"claim " + m.Name, shown(m)})
	}
	rows = append(rows, []string{"issuer", i.Issuer}, []string{"verified by key", i.Key})
	if p := i.Principal; p != nil {
		return append(rows, []string{"verdict", "accepted"}, []string{"user", p.User}, []string{"team", p.Team}, []string{"app", p.App})
	}
	return append(rows, []string{"verdict", "refused"}, []string{"reason", string(i.Reason)}, []string{"because", i.Cause})
}

// shown is a member's value for a person: times are read out.
func shown(m identity.Member) string {
	switch m.Name {
	case "exp", "nbf", "iat":
		if at, err := strconv.ParseInt(m.Value, 10, 64); err == nil {
			return when(time.Unix(at, 0))
		}
	}
	if m.Value == "" {
		return "(not shown)"
	}
	return m.Value
}
