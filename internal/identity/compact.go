package identity

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The longest token, in bytes, and the longest id of a key.
const (
	maxToken = 8 << 10
	maxKid   = 128
)

// compact is a token in JWS compact serialization (RFC 7515 §3.1), read strictly but not yet verified.
type compact struct {
	alg, kid, typ string
	header        []byte
	payload       []byte
	signed        string // what the signature covers, as received
	signature     []byte
}

// headerNames are the header members that decide something: the first three are read, the others refused. Those carry
// keys or fetch them, change what is signed, or belong to encrypted or nested tokens. Members not named here carry no
// meaning for a verifier and are ignored (RFC 7515 §4).
var headerNames = []string{"alg", "kid", "typ", "crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "cty"}

// parseCompact reads the outer form and the header of a token of at most maxToken bytes. The payload is decoded and
// otherwise untouched.
func parseCompact(token string) (compact, error) {
	// base64's decoder skips line breaks, hence the look at each character.
	for _, c := range []byte(token) {
		if !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return compact{}, errTokenAlphabet
		}
	}
	if strings.Count(token, ".") != 2 {
		return compact{}, errTokenParts
	}
	cut := strings.LastIndexByte(token, '.')
	head, body, _ := strings.Cut(token[:cut], ".")
	strict := base64.RawURLEncoding.Strict()
	header, err1 := strict.DecodeString(head)
	payload, err2 := strict.DecodeString(body)
	signature, err3 := strict.DecodeString(token[cut+1:])
	if err1 != nil || err2 != nil || err3 != nil {
		return compact{}, errTokenEncoding
	}
	c := compact{header: header, payload: payload, signed: token[:cut], signature: signature}
	return c, c.readHeader(header)
}

func (c *compact) readHeader(data []byte) error {
	err := readObject(data, headerNames, func(name string, value jsontext.Value) error {
		var ok bool
		switch name {
		case "alg":
			if c.alg, ok = text(value); !ok {
				return errHeaderAlg
			}
		case "kid":
			if c.kid, ok = text(value); !ok || !isKid(c.kid) {
				return errHeaderKid
			}
		case "typ":
			if c.typ, ok = text(value); !ok {
				return errHeaderTyp
			}
		case "crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "cty":
			return errHeaderRefused
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case c.alg == "":
		return errHeaderAlg
	case c.kid == "":
		return errHeaderKid
	}
	return nil
}

// verify checks the signature with a key, which also decides the algorithm.
func (c *compact) verify(k *Key) error {
	for _, m := range k.methods {
		if m.Alg() == c.alg {
			if m.Verify(c.signed, c.signature, k.public) != nil {
				return errSignature
			}
			return nil
		}
	}
	return errAlg
}

// mediaType gives typ as it is compared: without case and without the "application/" that RFC 7515 §4.1.9 lets out.
func mediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// isKid reports whether s is 1 to 128 characters of printable ASCII.
func isKid(s string) bool {
	if s == "" || len(s) > maxKid {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
