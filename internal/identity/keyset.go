package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxKeySet     = 64 << 10
	maxKeySetKeys = 32
)

// KeySet holds the keys of one issuer by their ids. It does not change.
type KeySet struct{ keys map[string]*Key }

// Key gives the key with an id.
func (s *KeySet) Key(id string) (*Key, bool) {
	k, ok := s.keys[id]
	return k, ok
}

// Len is the number of keys that can verify signatures.
func (s *KeySet) Len() int { return len(s.keys) }

// ParseKeySet reads a JSON Web Key Set (RFC 7517 §5). allowed are the algorithms that the issuer may use; a key that
// names one is pinned to it, a key that names none to those that fit its type.
//
// Keys that cannot verify a signature here are ignored, as issuers publish encryption keys beside the others: another
// use, an unknown type, no id, no allowed algorithm, a weak or malformed key. The whole set is refused when it holds
// private or symmetric material, when two usable keys share an id, and when it is too large (64 KiB, 32 keys).
func ParseKeySet(data []byte, allowed []string) (*KeySet, error) {
	if len(data) > maxKeySet {
		return nil, fmt.Errorf("identity: key set: more than %d bytes", maxKeySet)
	}
	var doc struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, errors.New("identity: key set: not strict JSON of the expected form")
	}
	if len(doc.Keys) > maxKeySetKeys {
		return nil, fmt.Errorf("identity: key set: more than %d keys", maxKeySetKeys)
	}
	set := &KeySet{keys: make(map[string]*Key, len(doc.Keys))}
	for _, j := range doc.Keys {
		if j.isSecret() {
			return nil, errors.New("identity: key set: holds private or symmetric key material")
		}
		key, err := j.key(allowed)
		if err != nil {
			continue
		}
		if _, double := set.keys[j.Kid]; double {
			return nil, errors.New("identity: key set: two keys have the same id")
		}
		set.keys[j.Kid] = key
	}
	return set, nil
}

// jwk is one JSON Web Key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), as far as it matters here.
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Crv    string   `json:"crv"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	N      string   `json:"n"`
	E      string   `json:"e"`

	// Private and symmetric members. That they are there is enough to know.
	D   jsontext.Value `json:"d"`
	P   jsontext.Value `json:"p"`
	Q   jsontext.Value `json:"q"`
	DP  jsontext.Value `json:"dp"`
	DQ  jsontext.Value `json:"dq"`
	QI  jsontext.Value `json:"qi"`
	Oth jsontext.Value `json:"oth"`
	K   jsontext.Value `json:"k"`
}

func (j *jwk) isSecret() bool {
	return j.Kty == "oct" || j.D != nil || j.P != nil || j.Q != nil || j.DP != nil || j.DQ != nil || j.QI != nil ||
		j.Oth != nil || j.K != nil
}

var (
	errKeyUse  = errors.New("not for verifying signatures")
	errKeyForm = errors.New("malformed key")
)

func (j *jwk) key(allowed []string) (*Key, error) {
	if !isKid(j.Kid) || j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify") {
		return nil, errKeyUse
	}
	if j.Alg != "" {
		if !slices.Contains(allowed, j.Alg) {
			return nil, errKeyAlgorithm
		}
		allowed = []string{j.Alg}
	}
	public, err := j.public()
	if err != nil {
		return nil, err
	}
	return newKey(public, allowed)
}

func (j *jwk) public() (crypto.PublicKey, error) {
	switch j.Kty {
	case "OKP":
		x, err := number(j.X)
		if err != nil || j.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, errKeyForm
		}
		return ed25519.PublicKey(x), nil
	case "EC":
		return j.ecdsa()
	case "RSA":
		n, err1 := number(j.N)
		e, err2 := number(j.E)
		if err1 != nil || err2 != nil || len(e) > 4 {
			return nil, errKeyForm
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	}
	return nil, errKeyForm
}

func (j *jwk) ecdsa() (*ecdsa.PublicKey, error) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	curve, ok := curves[j.Crv]
	if !ok {
		return nil, errKeyForm
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err1 := number(j.X)
	y, err2 := number(j.Y)
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, errKeyForm
	}
	// SEC 1 §2.3.3: 4 says that both coordinates follow.
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errKeyForm
	}
	return public, nil
}

func number(s string) ([]byte, error) {
	if s == "" {
		return nil, errKeyForm
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
