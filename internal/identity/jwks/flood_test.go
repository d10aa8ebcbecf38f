package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/identity/jwks"
	"github.com/plumbline/plumbline/internal/testkit/oidc"
)

// people knows one user and no credentials.
type people struct{}

func (people) AppKey([32]byte) (core.AppKey, bool)            { return core.AppKey{}, false }
func (people) SigningKey(string) (core.SigningKey, bool)      { return core.SigningKey{}, false }
func (people) Revoked(string, string, string, time.Time) bool { return false }
func (people) User(id string) (core.User, bool)               { return core.User{ID: id}, id == "ana" }
func (people) App(string) (core.App, bool)                    { return core.App{}, false }
func (people) Team(string) (core.Team, bool)                  { return core.Team{}, false }
func (people) Generation() uint64                             { return 1 }

// trusting gives a verifier that trusts a provider, with its keys in force.
func trusting(tb testing.TB, p *oidc.Provider) (*identity.Verifier, *jwks.Source) {
	tb.Helper()
	c, err := jwks.NewClient(jwks.ClientOptions{URL: p.KeysURL, RootCAs: p.Pool(), AllowPrivate: true})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := jwks.New(jwks.Options{
		Issuer: p.Issuer, URL: p.KeysURL, Algorithms: []string{"ES256"}, Fetch: c.Fetch, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := identity.NewVerifier(identity.Options{
		Issuer: "plumbline", Audience: "plumbline", MaxLifetime: time.Hour, Now: time.Now,
		Credentials: func() identity.Credentials { return people{} },
		Issuers: []identity.Trust{{
			Issuer: p.Issuer, Audiences: []string{oidc.Audience}, Types: []string{"JWT"}, Keys: s.Keys, Missing: s.Missing,
		}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			tb.Errorf("Run ended with %v", err)
		}
	})
	<-s.Tried()
	return v, s
}

// The whole way with a real server: a token is good, its key is replaced, and the new one is seen.
func TestRotationOverHTTPS(t *testing.T) {
	p := oidc.Start(t)
	v, _ := trusting(t, p)
	call := func(token string) *core.Error {
		_, denied := v.Authenticate(t.Context(), identity.Evidence{Authorization: []string{"Bearer " + token}})
		return denied
	}
	old := p.Token(p.Claims("ana", nil), nil)
	if denied := call(old); denied != nil {
		t.Fatal(denied)
	}
	p.Add()
	p.Withdraw()
	fresh := p.Token(p.Claims("ana", nil), nil)
	deadline := time.Now().Add(10 * time.Second)
	for call(fresh) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the new key is not seen within 10s")
		}
	}
	if call(old) == nil {
		t.Error("a token of a key that was withdrawn is still good")
	}
	if n := p.Fetches(); n > 3 {
		t.Errorf("%d fetches for one rotation", n)
	}
}

// Refusals of tokens with made-up kids, each another one, as fast as they can be made.
func BenchmarkForgedKids(b *testing.B) {
	p := oidc.Start(b)
	v, _ := trusting(b, p)
	claims := p.Claims("ana", nil)
	forged := make([]identity.Evidence, 4096)
	for i := range forged {
		forged[i].Authorization = []string{"Bearer " + p.Token(claims, map[string]any{"kid": fmt.Sprint("forged-", i)})}
	}
	before := p.Fetches()
	took := make([]time.Duration, 0, 1<<20)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		if _, denied := v.Authenticate(context.Background(), forged[n%len(forged)]); denied == nil {
			b.Fatal("accepted")
		}
		if len(took) < cap(took) {
			took = append(took, time.Since(began))
		}
		n++
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*50/100].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)*999/1000].Nanoseconds()), "p99.9-ns")
	b.ReportMetric(float64(p.Fetches()-before), "fetches")
}
