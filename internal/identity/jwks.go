package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// MaxSigningKeys is how many of Plumbline's own keys may verify at a time: what readers of a key set are sure to take.
const MaxSigningKeys = maxKeySetKeys

// Verifies reports whether one of Plumbline's own keys verifies tokens at a time: one that signs always, a retired one
// until the last token that it can have signed has expired. lifetime is the longest of a token, leeway included.
func Verifies(k core.SigningKey, now time.Time, lifetime time.Duration) bool {
	return k.Retired.IsZero() || now.Before(k.Retired.Add(lifetime))
}

// PublicKeySet writes the JSON Web Key Set (RFC 7517 §5) of those of Plumbline's own keys that verify tokens at a time, the
// newest first. lifetime is that of Verifies. The set holds no private key.
func PublicKeySet(keys []core.SigningKey, now time.Time, lifetime time.Duration) ([]byte, error) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k core.SigningKey) bool { return !Verifies(k, now, lifetime) })
	slices.SortFunc(keys, func(a, b core.SigningKey) int { return b.Created.Compare(a.Created) })
	set := struct {
		Keys []publicJWK `json:"keys"`
	}{make([]publicJWK, len(keys))}
	for i, k := range keys {
		var err error
		if set.Keys[i], err = newPublicJWK(k); err != nil {
			return nil, fmt.Errorf("identity: signing key %s: %w", k.ID, err)
		}
	}
	return json.Marshal(set)
}

// publicJWK is a public key as it is published (RFC 7518 §6.2.1, RFC 8037 §2).
type publicJWK struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y,omitempty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
}

func newPublicJWK(k core.SigningKey) (publicJWK, error) {
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return publicJWK{}, errKeyDamaged
	}
	j := publicJWK{Kid: k.ID, Alg: k.Alg, Use: "sig"}
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case ed25519.PublicKey:
		j.Kty, j.Crv, j.X = "OKP", "Ed25519", encode(public)
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // SEC 1 §2.3.3: a 4, then both coordinates
		if err != nil {
			return publicJWK{}, errKeyDamaged
		}
		size := (len(point) - 1) / 2
		j.Kty, j.Crv, j.X, j.Y = "EC", public.Params().Name, encode(point[1:1+size]), encode(point[1+size:])
	default:
		return publicJWK{}, errors.New("of a type that Plumbline does not sign with")
	}
	return j, nil
}

var errKeyDamaged = errors.New("a stored signing key is damaged")
