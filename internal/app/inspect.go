package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// InspectToken says what a Plumbline with this configuration and this control data would make of a token now. It fetches
// the keys of the token's issuer, and nothing else; an error is that they could not be had.
func InspectToken(ctx context.Context, st store.Store, c config.Identity, token string) (identity.Inspection, error) {
	directory, err := store.NewDirectory(ctx, store.DirectoryOptions{Store: st, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return identity.Inspection{}, err
	}
	var failed error
	o := identity.Options{
		Issuer: c.Issuer, Audience: c.Audience, MaxLifetime: c.MaxLifetime, Leeway: c.Leeway, Now: time.Now,
		Credentials: func() identity.Credentials { return directory.Snapshot() },
	}
	for _, entry := range c.Issuers {
		t := trust(entry)
		t.Keys = sync.OnceValue(func() *identity.KeySet {
			set, err := FetchKeys(ctx, entry)
			if err != nil {
				failed = fmt.Errorf("the keys of %s: %w", entry.Issuer, err)
				return new(identity.KeySet)
			}
			return set
		})
		o.Issuers = append(o.Issuers, t)
	}
	v, err := identity.NewVerifier(o)
	if err != nil {
		return identity.Inspection{}, err
	}
	inspection := v.Inspect(token)
	return inspection, failed
}
