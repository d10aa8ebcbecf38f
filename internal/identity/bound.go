package identity

import (
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"
)

// bound reads cnf, which binds a token to a key (RFC 7800 §3.1). The one binding that can be checked here is that to the
// caller's certificate (RFC 8705 §3.1). A token with any other is worth nothing: its proof cannot be seen.
func bound(v jsontext.Value) (to thumbprint, err error) {
	members := 0
	err = readObject(v, []string{"x5t#S256"}, func(name string, value jsontext.Value) error {
		members++
		encoded, ok := text(value)
		if name != "x5t#S256" || !ok {
			return errClaimBound
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if err != nil || len(raw) != len(to) {
			return errClaimBound
		}
		copy(to[:], raw)
		return nil
	})
	if err != nil || members != 1 || to == (thumbprint{}) {
		return thumbprint{}, errClaimBound
	}
	return to, nil
}

// actor reads act, which says who acts for the subject (RFC 8693 §4.1), and gives the outermost: those before it are
// for information only, and not kept.
func actor(v jsontext.Value) (sub string, err error) {
	err = readObject(v, []string{"sub"}, func(name string, value jsontext.Value) (err error) {
		if name == "sub" {
			sub, err = identifier(value)
		}
		return err
	})
	if err != nil || sub == "" {
		return "", errClaimActor
	}
	return sub, nil
}
