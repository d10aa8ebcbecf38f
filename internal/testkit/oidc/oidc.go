// Package oidc is an identity provider for tests: a real HTTPS server under an authority of its own, which publishes keys,
// rotates them and signs tokens, good ones and others. It shares no code with what it tests.
package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Audience is what tokens are meant for unless a test says otherwise.
const Audience = "api://plumbline"

// Provider is a running identity provider. It ends with its test.
type Provider struct {
	// Issuer is its iss, KeysURL where its key set is.
	Issuer, KeysURL string
	// CA is its authority, in PEM.
	CA []byte

	server  *httptest.Server
	fetches atomic.Int64

	mu        sync.Mutex
	published []key // the last one signs
	answer    http.HandlerFunc
	made      int
}

type key struct {
	id      string
	private *ecdsa.PrivateKey
}

// Start starts a provider with one key.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{}
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	p.Issuer, p.KeysURL = p.server.URL, p.server.URL+"/keys"
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	p.Add()
	return p
}

// Pool is the provider's authority as a TLS client takes it.
func (p *Provider) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CA)
	return pool
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.fetches.Add(1)
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.Document()) // whoever hung up notices
}

// Fetches is how often the key set was asked for.
func (p *Provider) Fetches() int64 { return p.fetches.Load() }

// Answer has the provider answer with a handler, nil for its key set.
func (p *Provider) Answer(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = h
}

// Add publishes one more key, which signs from now on, and gives its id.
func (p *Provider) Add() string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system's random numbers do not fail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	id := fmt.Sprintf("key-%d", p.made)
	p.published = append(p.published, key{id, private})
	return id
}

// Withdraw publishes no key any more but the one that signs.
func (p *Provider) Withdraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = p.published[len(p.published)-1:]
}

// Document is the key set as it is published.
func (p *Provider) Document() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := []map[string]string{}
	for _, k := range p.published {
		point, err := k.private.PublicKey.Bytes()
		if err != nil {
			panic(err) // the key was made here
		}
		keys = append(keys, map[string]string{
			"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.id, "x": encode(point[1:33]), "y": encode(point[33:]),
		})
	}
	return marshal(map[string]any{"keys": keys})
}

// Claims are those of a good token for a user, with changes; a change to nil takes a claim away.
func (p *Provider) Claims(user string, changes map[string]any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{"iss": p.Issuer, "sub": user, "aud": Audience, "iat": now, "exp": now + 600}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Token signs claims with the newest key. Changes to the header are made before it is signed.
func (p *Provider) Token(claims, header map[string]any) string {
	p.mu.Lock()
	k := p.published[len(p.published)-1]
	p.mu.Unlock()
	head := map[string]any{"alg": "ES256", "typ": "JWT", "kid": k.id}
	maps.Copy(head, header)
	signed := encode(marshal(head)) + "." + encode(marshal(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		panic(err) // the key was made here
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

// Public is the key that signs, for attacks that take it for something else.
func (p *Provider) Public() crypto.PublicKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published[len(p.published)-1].private.Public()
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return data
}
