package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseKeySetPinsAlgorithms(t *testing.T) {
	k := keys()
	set := keySetOf(t,
		jwkOf(k.ed.Public(), "ed", ""), jwkOf(k.ec.Public(), "p256", ""), jwkOf(k.ec384.Public(), "p384", ""),
		jwkOf(k.rsa.Public(), "rsa", ""), jwkOf(k.rsa.Public(), "rsa-pinned", "PS384"))
	got := map[string]string{}
	for kid, key := range set.keys {
		for _, m := range key.methods {
			got[kid] += m.Alg() + " "
		}
	}
	want := map[string]string{
		"ed": "EdDSA ", "p256": "ES256 ", "p384": "ES384 ", "rsa": "RS256 RS384 RS512 PS256 PS384 PS512 ",
		"rsa-pinned": "PS384 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	narrow, err := ParseKeySet(keySetJSON(t, jwkOf(k.rsa.Public(), "rsa", ""), jwkOf(k.ec.Public(), "p256", "")), []string{"RS256"})
	if err != nil || narrow.Len() != 1 || len(narrow.keys["rsa"].methods) != 1 {
		t.Errorf("allowed algorithms do not narrow: %v %v", narrow, err)
	}
}

// edit changes a good key.
func edit(j map[string]any, members map[string]any) map[string]any {
	c := maps.Clone(j)
	maps.Copy(c, members)
	return c
}

func TestParseKeySetIgnores(t *testing.T) {
	k := keys()
	ed, ec, rs := jwkOf(k.ed.Public(), "k", "EdDSA"), jwkOf(k.ec.Public(), "k", "ES256"), jwkOf(k.rsa.Public(), "k", "RS256")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	for name, j := range map[string]map[string]any{
		"for encryption":             edit(rs, m{"use": "enc"}),
		"for other operations":       edit(rs, m{"key_ops": []string{"encrypt", "wrapKey"}}),
		"for no operation":           edit(rs, m{"key_ops": []string{}}),
		"for encryption, by alg":     edit(rs, m{"alg": "RSA-OAEP"}),
		"alg of another type":        edit(rs, m{"alg": "ES256"}),
		"alg of another curve":       edit(ec, m{"alg": "ES384"}),
		"alg symmetric":              edit(ec, m{"alg": "HS256"}),
		"alg none":                   edit(ec, m{"alg": "none"}),
		"unknown type":               edit(ed, m{"kty": "AKP"}),
		"unknown curve":              edit(ec, m{"crv": "secp256k1"}),
		"key agreement":              edit(ed, m{"crv": "X25519"}),
		"without id":                 edit(ed, m{"kid": ""}),
		"id with a line break":       edit(ed, m{"kid": "k\n"}),
		"short Ed25519 key":          edit(ed, m{"x": b64("short")}),
		"point off the curve":        edit(ec, m{"y": ec["x"]}),
		"point at zero":              edit(ec, m{"x": b64(strings.Repeat("\x00", 32)), "y": b64(strings.Repeat("\x00", 32))}),
		"coordinate too short":       edit(ec, m{"x": b64(strings.Repeat("\x01", 31))}),
		"coordinate missing":         edit(ec, m{"y": ""}),
		"RSA of 1024 bits":           jwkOf(small.Public(), "k", "RS256"),
		"RSA exponent 1":             edit(rs, m{"e": "AQ"}),
		"RSA exponent 3":             edit(rs, m{"e": "Aw"}),
		"RSA exponent of many bytes": edit(rs, m{"e": b64("\x01\x00\x00\x00\x00\x00\x01\x00\x01")}),
		"RSA modulus missing":        edit(rs, m{"n": ""}),
		"RSA modulus not base64url":  edit(rs, m{"n": "+/+/"}),
		"RSA modulus too long":       edit(rs, m{"n": b64(strings.Repeat("\xff", 1025))}),
		"RSA ROCA":                   edit(rs, m{"n": b64(string(rocaModulus().Bytes()))}),
	} {
		set, err := ParseKeySet(keySetJSON(t, j, jwkOf(k.otherEd.Public(), "good", "EdDSA")), everyAlgorithm)
		if err != nil {
			t.Errorf("%s: the set is refused: %v", name, err)
			continue
		}
		if _, ok := set.Key("good"); !ok || set.Len() != 1 {
			t.Errorf("%s: %d keys", name, set.Len())
		}
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	k := keys()
	ed, rs := jwkOf(k.ed.Public(), "k", "EdDSA"), jwkOf(k.rsa.Public(), "k", "RS256")
	type m = map[string]any
	refused := map[string][]byte{
		"empty":                   nil,
		"a list":                  []byte(`[]`),
		"not JSON":                []byte(`<html>`),
		"keys no list":            []byte(`{"keys":{}}`),
		"keys twice":              []byte(`{"keys":[],"keys":[]}`),
		"a member twice":          []byte(`{"keys":[{"kid":"a","kid":"b"}]}`),
		"text after it":           []byte(`{"keys":[]}{}`),
		"private Ed25519":         keySetJSON(t, edit(ed, m{"d": "AA"})),
		"private RSA":             keySetJSON(t, edit(rs, m{"p": "AA"})),
		"private RSA, null":       keySetJSON(t, edit(rs, m{"d": nil})),
		"private, for encryption": keySetJSON(t, edit(rs, m{"use": "enc", "dq": "AA"})),
		"private, in capitals":    keySetJSON(t, edit(ed, m{"D": "AA"})),
		"symmetric, in capitals":  keySetJSON(t, m{"kty": "OCT", "kid": "s", "K": "AA"}),
		"no keys":                 []byte(`{"error":"temporarily_unavailable"}`),
		"null":                    []byte(`{"keys":null}`),
		"symmetric":               keySetJSON(t, m{"kty": "oct", "kid": "s", "k": "AA"}),
		"symmetric beside good":   keySetJSON(t, ed, m{"kty": "oct", "kid": "s"}),
		"id twice":                keySetJSON(t, ed, rs),
	}
	many := make([]map[string]any, maxKeySetKeys+1)
	for i := range many {
		many[i] = edit(ed, m{"kid": strconv.Itoa(i)})
	}
	refused["too many"] = keySetJSON(t, many...)
	refused["too long"] = keySetJSON(t, edit(ed, m{"x5c": []string{strings.Repeat("A", MaxKeySet)}}))
	for name, doc := range refused {
		if set, err := ParseKeySet(doc, everyAlgorithm); err == nil {
			t.Errorf("%s: accepted, %d keys", name, set.Len())
		}
	}
	if _, err := ParseKeySet(keySetJSON(t, many[1:]...), everyAlgorithm); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
	if _, err := ParseKeySet(keySetJSON(t, ed, edit(rs, m{"use": "enc"})), everyAlgorithm); err != nil {
		t.Errorf("an id twice, one not usable: %v", err)
	}
}

// rocaModulus gives a number of 2048 bits with the fingerprint: a power of 65537 modulo all primes below 170.
func rocaModulus() *big.Int {
	product := big.NewInt(1)
	for p := range int64(170) {
		if big.NewInt(p).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(p))
		}
	}
	n := new(big.Int).Exp(big.NewInt(exponent), big.NewInt(12345), product)
	step := new(big.Int).Lsh(product, uint(2047-product.BitLen()))
	for n.BitLen() < 2048 {
		n.Add(n, step)
	}
	return n
}

func TestROCA(t *testing.T) {
	if !isROCA(rocaModulus()) {
		t.Error("the fingerprint is not seen")
	}
	if isROCA(keys().rsa.N) {
		t.Error("a sound key has the fingerprint")
	}
}

func FuzzParseKeySet(f *testing.F) {
	k := keys()
	for _, public := range []any{k.ed.Public(), k.ec.Public(), k.rsa.Public()} {
		f.Add(keySetJSON(f, jwkOf(public, "k", "")))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, err := ParseKeySet(doc, everyAlgorithm)
		if err != nil {
			return
		}
		for kid, key := range set.keys {
			if !isKid(kid) || len(key.methods) == 0 {
				t.Errorf("key %q with %d algorithms", kid, len(key.methods))
			}
			switch public := key.public.(type) {
			case *rsa.PublicKey:
				if public.N.BitLen() < minRSABits || public.E != exponent {
					t.Error("weak RSA key")
				}
			case *ecdsa.PublicKey:
				if _, err := public.ECDH(); err != nil {
					t.Error("point off the curve")
				}
			case ed25519.PublicKey:
			default:
				t.Errorf("key of type %T", public)
			}
		}
	})
}
