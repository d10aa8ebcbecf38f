package identity

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/plumbline/plumbline/internal/testkit"
)

// wycheproof is a file of test vectors of project Wycheproof (github.com/C2SP/wycheproof).
type wycheproof struct {
	TestGroups []struct {
		Comment string          `json:"comment"`
		Private json.RawMessage `json:"private"`
		Public  json.RawMessage `json:"public"`
		Tests   []struct {
			ID      int             `json:"tcId"`
			Comment string          `json:"comment"`
			JWS     json.RawMessage `json:"jws"`
			Result  string          `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

func readWycheproof(t *testing.T, name string) wycheproof {
	t.Helper()
	data, err := os.ReadFile(testkit.SharedData(t, "wycheproof", name))
	if err != nil {
		t.Fatal(err)
	}
	var w wycheproof
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// The vectors' payloads are no claims, so what is tested is all below the claims: form, header, key choice, signature.
// The verdict on each vector must be Wycheproof's, but for those that are named here with the reason.
func TestWycheproof(t *testing.T) {
	const (
		sameBytes      = "byte for byte the valid token beside it; the fault its comment speaks of is not there"
		strayCharacter = "a character outside of base64url is an error, not skipped"
		otherAlg       = "alg is not the one that the key names (a wrong or made-up one)"
		symmetric      = "symmetric keys are no keys of an issuer"
	)
	for _, file := range []struct {
		name     string
		hmac     bool // take single symmetric keys, which production never does, to test form and header with them
		tests    int
		excepted map[int]string
	}{
		{"json_web_signature_test.json", true, 401, map[int]string{
			367: sameBytes, 370: sameBytes,
			346: otherAlg, 350: otherAlg, 347: otherAlg, 351: otherAlg, 372: strayCharacter, 373: strayCharacter,
		}},
		{"json_web_crypto_test.json", true, 49, map[int]string{48: symmetric}},
		{"json_web_key_test.json", false, 26, map[int]string{2: symmetric, 13: symmetric, 14: symmetric, 15: symmetric}},
	} {
		t.Run(file.name, func(t *testing.T) {
			tests := 0
			excepted := map[int]string{}
			for _, g := range readWycheproof(t, file.name).TestGroups {
				key := wycheproofKeys(g.Private, g.Public, file.hmac)
				for _, c := range g.Tests {
					if c.JWS == nil {
						continue // an encrypted token
					}
					tests++
					var token string
					if json.Unmarshal(c.JWS, &token) != nil {
						token = string(c.JWS) // JSON serialization
					}
					if accepts(key, token) != (c.Result == "valid") {
						excepted[c.ID] = file.excepted[c.ID]
						if excepted[c.ID] == "" {
							t.Errorf("%d (%s, %s) is %s", c.ID, g.Comment, c.Comment, c.Result)
						}
					}
				}
			}
			if tests != file.tests {
				t.Errorf("%d tests, want %d", tests, file.tests)
			}
			if len(excepted) != len(file.excepted) {
				t.Errorf("exceptions %v, want %v", excepted, file.excepted)
			}
		})
	}
}

func accepts(key func(kid string) (*Key, bool), token string) bool {
	c, err := parseCompact(token)
	if err != nil {
		return false
	}
	k, ok := key(c.kid)
	return ok && c.verify(k) == nil
}

// wycheproofKeys gives the keys of a group: the public ones, read as an issuer's key set.
func wycheproofKeys(private, public json.RawMessage, hmac bool) func(kid string) (*Key, bool) {
	document := public
	if document == nil {
		document = private
		if kid, k, ok := hmacKey(private); ok && hmac {
			return func(id string) (*Key, bool) { return k, id == kid }
		}
	}
	var probe struct {
		Keys json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &probe) == nil && probe.Keys == nil {
		document = amongOthers(document)
	}
	set, err := ParseKeySet(document, everyAlgorithm)
	if err != nil {
		set = &KeySet{}
	}
	return set.Key
}

// amongOthers puts a key into the set of an issuer, between others that must not change what it verifies.
func amongOthers(key json.RawMessage) json.RawMessage {
	other, err := json.Marshal([]any{
		jwkOf(keys().otherEd.Public(), "decoy", "EdDSA"), edit(jwkOf(keys().rsa.Public(), "encrypts", "RSA-OAEP"), map[string]any{"use": "enc"}),
		key, jwkOf(keys().ec384.Public(), "decoy-2", ""),
	})
	if err != nil {
		return nil
	}
	return slices.Concat([]byte(`{"keys":`), other, []byte(`}`))
}

// hmacKey makes a key that only tests can have.
func hmacKey(data []byte) (string, *Key, bool) {
	var j struct{ Kty, Kid, Alg, K string }
	if json.Unmarshal(data, &j) != nil || j.Kty != "oct" || j.Alg != "HS256" {
		return "", nil, false
	}
	secret, err := base64.RawURLEncoding.DecodeString(j.K)
	if err != nil {
		return "", nil, false
	}
	return j.Kid, &Key{methods: []jwt.SigningMethod{jwt.SigningMethodHS256}, public: secret}, true
}
