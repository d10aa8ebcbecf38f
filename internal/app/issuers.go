package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/identity/jwks"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// issuers are the trusted issuers of the configuration: what the verifier needs of them, and what keeps that current.
type issuers struct {
	trusted     []identity.Trust
	sources     []*jwks.Source
	provisioner *provisioner
}

func (a *App) openIssuers(metrics *telemetry.Metrics) error {
	a.issuers = &issuers{provisioner: newProvisioner(a.store, a.directory.Refresh, time.Now, a.log)}
	for n, c := range a.cfg.Identity.Issuers {
		t := trust(c)
		if err := a.openKeys(c, &t, metrics); err != nil {
			return entryError(n, err)
		}
		if c.Create != config.CreateNone {
			t.Provision = func(u core.User) bool { return a.issuers.provisioner.ask(c.Issuer, c.Create == config.CreateTeams, u) }
		}
		a.issuers.trusted = append(a.issuers.trusted, t)
	}
	return nil
}

// openKeys says where the keys of an issuer come from.
func (a *App) openKeys(c config.Issuer, t *identity.Trust, metrics *telemetry.Metrics) error {
	if c.JWKSFile != "" {
		set, err := keysOfFile(c)
		t.Keys = func() *identity.KeySet { return set }
		return err
	}
	client, err := keyClient(c)
	if err != nil {
		return err
	}
	metrics.KeysConfirmed(c.Issuer, time.Time{})
	source, err := jwks.New(jwks.Options{
		Issuer: c.Issuer, URL: c.JWKSURL, Algorithms: algorithms(c), Fetch: client.Fetch,
		Snapshot:  jwks.SnapshotPath(a.cfg.DataDir, c.Issuer),
		OnSuccess: func(at time.Time) { metrics.KeysConfirmed(c.Issuer, at) },
		Now:       time.Now, Log: a.log,
	})
	if err != nil {
		return err
	}
	t.Keys, t.Missing = source.Keys, source.Missing
	a.issuers.sources = append(a.issuers.sources, source)
	return nil
}

// run keeps keys current and creates who is new, until ctx ends.
func (i *issuers) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range i.sources {
		group.Go(func() error { return s.Run(ctx) })
	}
	group.Go(func() error { return i.provisioner.run(ctx) })
	return group.Wait()
}

// await waits until each issuer's keys are there or were asked for once, so that a restart refuses nobody. A fetch that
// gets no answer ends after seconds.
func (i *issuers) await(ctx context.Context) {
	for _, s := range i.sources {
		if s.Keys().Len() > 0 { // of before the restart
			continue
		}
		select {
		case <-s.Tried():
		case <-ctx.Done():
		}
	}
}

// CheckIssuers checks the files that trusted issuers name, and their addresses. It fetches nothing.
func CheckIssuers(c config.Identity) error {
	var errs []error
	for n, i := range c.Issuers {
		var err error
		if i.JWKSFile != "" {
			_, err = keysOfFile(i)
		} else {
			_, err = keyClient(i)
		}
		if err != nil {
			errs = append(errs, entryError(n, err))
		}
	}
	return errors.Join(errs...)
}

func entryError(n int, err error) error { return fmt.Errorf("identity.issuers[%d]: %w", n, err) }

// FetchKeys gets the key set of an issuer now, from its address or its file, and says what each key is worth.
func FetchKeys(ctx context.Context, c config.Issuer) (*identity.KeySet, error) {
	if c.JWKSFile != "" {
		return keysOfFile(c)
	}
	client, err := keyClient(c)
	if err != nil {
		return nil, err
	}
	data, err := client.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return identity.ParseKeySet(data, algorithms(c))
}

func keysOfFile(c config.Issuer) (*identity.KeySet, error) {
	data, err := os.ReadFile(c.JWKSFile)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	set, err := identity.ParseKeySet(data, algorithms(c))
	switch {
	case err != nil:
		return nil, fmt.Errorf("jwks_file: %w", err)
	case set.Len() == 0:
		return nil, errors.New("jwks_file: none of its keys can verify a token (plumbline check jwks says why)")
	}
	return set, nil
}

func keyClient(c config.Issuer) (*jwks.Client, error) {
	o := jwks.ClientOptions{URL: c.JWKSURL, AllowPrivate: c.AllowPrivate}
	if c.CAFile != "" {
		data, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		o.RootCAs = x509.NewCertPool()
		if !o.RootCAs.AppendCertsFromPEM(data) {
			return nil, errors.New("ca_file: holds no certificate in PEM")
		}
	}
	return jwks.NewClient(o)
}

// trust is what an entry says, but for the keys.
func trust(c config.Issuer) identity.Trust {
	return identity.Trust{
		Issuer: c.Issuer, Audiences: c.Audiences, Types: c.Types, MaxLifetime: c.MaxLifetime,
		Claims: identity.Mapping{
			User:  claim(c.User),
			App:   claim(c.App),
			Team:  identity.Claim{Name: c.Team.Claim, Prefix: c.Team.Prefix, Lowercase: c.Team.Lowercase},
			Teams: c.Team.Map,
			Roles: c.Roles.Claim, Require: c.Roles.Require,
			Task: claim(c.Task),
		},
	}
}

func claim(c config.Claim) identity.Claim {
	return identity.Claim{Name: c.Claim, Prefix: c.Prefix, Lowercase: c.Lowercase}
}

func algorithms(c config.Issuer) []string {
	names := make([]string, len(c.Algorithms))
	for i, a := range c.Algorithms {
		names[i] = string(a)
	}
	return names
}
