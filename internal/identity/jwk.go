package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
)

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
}

// Why a key of a set is ignored.
var (
	errKeyID   = errors.New("no kid, or one that is not 1 to 128 characters of printable ASCII")
	errKeyUse  = errors.New("not for verifying signatures")
	errKeyType = errors.New("unknown kty or crv")
	errKeyForm = errors.New("malformed key")
)

// uses are the values of use for keys that verify tokens. SPIFFE bundles have one of their own (SPIFFE Trust Domain and
// Bundle §4.2.2).
var uses = []string{"", "sig", "jwt-svid"}

func (j *jwk) key(allowed []string) (*Key, error) {
	switch {
	case !slices.Contains(uses, j.Use) || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return nil, errKeyUse
	case !isKid(j.Kid):
		return nil, errKeyID
	case j.Alg != "" && !slices.Contains(allowed, j.Alg):
		return nil, errKeyAlgorithm
	case j.Alg != "":
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
		return j.ed25519()
	case "EC":
		return j.ecdsa()
	case "RSA":
		return j.rsa()
	}
	return nil, errKeyType
}

func (j *jwk) ed25519() (crypto.PublicKey, error) {
	if j.Crv != "Ed25519" {
		return nil, errKeyType
	}
	x, err := number(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errKeyForm
	}
	return ed25519.PublicKey(x), nil
}

func (j *jwk) rsa() (crypto.PublicKey, error) {
	n, err1 := number(j.N)
	e, err2 := number(j.E)
	if err1 != nil || err2 != nil || len(e) > 4 {
		return nil, errKeyForm
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

func (j *jwk) ecdsa() (crypto.PublicKey, error) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	curve, ok := curves[j.Crv]
	if !ok {
		return nil, errKeyType
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
