package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// methods are the algorithms there are (RFC 7518 §3.1, RFC 8037): asymmetric ones alone, so that "none" and the HMACs
// cannot be named. PSS must use a salt as long as the hash (RFC 7518 §3.5); the library's own methods take any.
var methods = []jwt.SigningMethod{
	jwt.SigningMethodEdDSA,
	jwt.SigningMethodES256, jwt.SigningMethodES384, jwt.SigningMethodES512,
	jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512,
	strictPSS(jwt.SigningMethodPS256), strictPSS(jwt.SigningMethodPS384), strictPSS(jwt.SigningMethodPS512),
}

func strictPSS(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	return &jwt.SigningMethodRSAPSS{SigningMethodRSA: m.SigningMethodRSA, Options: m.Options}
}

const (
	minRSABits = 2048
	maxRSABits = 8192 // larger keys only make verification slow
	exponent   = 65537
)

// Why a key cannot verify signatures.
var (
	errKeyAlgorithm = errors.New("no allowed algorithm fits the key")
	errKeyWeak      = errors.New("weak RSA key")
)

// Key verifies signatures with the algorithms that it is pinned to.
type Key struct {
	methods []jwt.SigningMethod
	public  crypto.PublicKey
}

// newKey pins a public key to those of the allowed algorithms that fit its type and curve. The key is one that its parser
// found well formed, a point on its curve included.
func newKey(public crypto.PublicKey, allowed []string) (*Key, error) {
	if public, ok := public.(*rsa.PublicKey); ok && isWeak(public) {
		return nil, errKeyWeak
	}
	k := &Key{public: public}
	for _, m := range methods {
		if slices.Contains(allowed, m.Alg()) && fits(m, public) {
			k.methods = append(k.methods, m)
		}
	}
	if k.methods == nil {
		return nil, errKeyAlgorithm
	}
	return k, nil
}

// algorithms are the names of what the key verifies.
func (k *Key) algorithms() []string {
	names := make([]string, len(k.methods))
	for i, m := range k.methods {
		names[i] = m.Alg()
	}
	return names
}

// same reports whether two keys are the same key, however often it was published.
func (k *Key) same(other *Key) bool {
	if k == other {
		return true
	}
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.public)
}

func fits(m jwt.SigningMethod, public crypto.PublicKey) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return m == jwt.SigningMethodEdDSA
	case *ecdsa.PublicKey:
		ec, ok := m.(*jwt.SigningMethodECDSA)
		return ok && ec.CurveBits == public.Params().BitSize
	case *rsa.PublicKey:
		switch m.(type) {
		case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
			return true
		}
	}
	return false
}

func isWeak(public *rsa.PublicKey) bool {
	bits := public.N.BitLen()
	return bits < minRSABits || bits > maxRSABits || public.E != exponent || isROCA(public.N)
}

// rocaPrimes are the small primes p for which the powers of 65537 do not reach all residues modulo p.
var rocaPrimes = []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// isROCA reports whether an RSA modulus has the fingerprint of keys whose primes came from Infineon's faulty library
// (CVE-2017-15361; Nemec et al., "The Return of Coppersmith's Attack", 2017, §3.1): both primes, hence the modulus, are
// powers of 65537 modulo each small prime. A sound key has it with a probability below 2⁻²⁷.
func isROCA(n *big.Int) bool {
	for _, p := range rocaPrimes {
		if !isPowerOf65537(new(big.Int).Mod(n, big.NewInt(p)).Int64(), p) {
			return false
		}
	}
	return true
}

func isPowerOf65537(residue, p int64) bool {
	for power, i := int64(1), int64(0); i < p; i++ {
		if power == residue {
			return true
		}
		power = power * exponent % p
	}
	return false
}
