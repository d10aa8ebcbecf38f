package identity

import (
	"context"
	"fmt"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	for name, credential := range map[string]string{
		"key":                  w.addKey(b, core.AppKey{ID: "k1", App: "desk", User: "ana"}),
		"token remembered":     good(),
		"token of another":     from(otherHeader, otherClaims),
		"token refused (form)": good() + ".",
		"token refused (kid)":  head(but(goodHeader, "own-ed", "forged")),
	} {
		header := Evidence{Authorization: []string{"Bearer " + credential}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.Authenticate(context.Background(), header)
			}
		})
	}
}

// The first sight of a token pays for the signature.
func BenchmarkAuthenticateFirst(b *testing.B) {
	for _, alg := range []string{AlgEdDSA, AlgES256} {
		w := newWorld(b)
		signed, _, _, err := newIssuer(b, w, alg).Issue(IssueRequest{User: "ana", Lifetime: maxLifetime})
		if err != nil {
			b.Fatal(err)
		}
		header := Evidence{Authorization: []string{"Bearer " + signed}}
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.known.generation++
				_, _ = w.Authenticate(context.Background(), header)
			}
		})
	}
}

func BenchmarkAuthenticateParallel(b *testing.B) {
	w := newWorld(b)
	header := Evidence{Authorization: []string{"Bearer " + good()}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = w.Authenticate(context.Background(), header)
		}
	})
}

func BenchmarkStill(b *testing.B) {
	w := newWorld(b)
	for _, credential := range []string{w.addKey(b, core.AppKey{ID: "k1", App: "desk", User: "ana"}), good()} {
		session, denied := w.call(credential)
		if denied != nil {
			b.Fatal(denied)
		}
		b.Run(fmt.Sprint(session.Principal.Method), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = w.Still(session)
			}
		})
	}
}
