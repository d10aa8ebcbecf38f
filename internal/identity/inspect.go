package identity

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// Inspection is what can be said about a token to the person who holds it. It never has the signature, nor the value of a
// member that is not known to be harmless.
type Inspection struct {
	Header []Member `json:"header"`
	Claims []Member `json:"claims"`
	// Issuer is the trusted issuer whose token it would be, and Key the id of the key that verifies it. Empty: none.
	Issuer string `json:"issuer,omitempty"`
	Key    string `json:"key,omitempty"`
	// Principal is who would call. It is set only when the token is accepted.
	Principal *core.Principal `json:"principal,omitempty"`
	// Reason and Cause say why the token is refused, empty when it is accepted.
	Reason core.Reason `json:"reason,omitempty"`
	Cause  string      `json:"cause,omitempty"`
}

// Member is a member of a token's header or claims. Value is JSON, empty when it is not shown.
type Member struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// The members whose values are shown: they name issuers, clients and times. Those of a mapping are shown too.
var (
	shownHeader = []string{"alg", "kid", "typ"}
	shownClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "client_id", "cid", claimKind, claimApp, claimEmailVerified}
)

// Inspect says what Authenticate would make of a token, and why. It remembers nothing, provisions nobody and asks for no
// keys.
func (v *Verifier) Inspect(credential string) Inspection {
	var i Inspection
	if len(credential) > maxToken {
		return i.refused(refuseToken(errTokenSize))
	}
	form, err := parseCompact(credential)
	i.Header = members(form.header, shownHeader)
	if err != nil {
		return i.refused(refuseToken(err))
	}
	said, err := parseClaims(form.payload)
	shown := shownClaims
	if issuer, ok := v.issuers[said.issuer]; ok {
		i.Issuer = issuer.issuer
		shown = slices.Concat(shown, issuer.claims.roots())
	}
	i.Claims = members(form.payload, shown)
	if err != nil {
		return i.refused(refuseToken(err))
	}
	known := v.credentials()
	t, err := v.verify(known, credential)
	if err != nil {
		return i.refused(refuseToken(err))
	}
	i.Key = t.kid
	principal, denied := v.principal(known, t, peer{})
	if denied != nil {
		return i.refused(denied)
	}
	i.Principal = &principal
	return i
}

func (i Inspection) refused(denied *core.Error) Inspection {
	i.Reason, i.Cause = denied.Reason, denied.Cause.Error()
	return i
}

// members lists the members of an object as far as it can be read, those of shown with their values.
func members(object []byte, shown []string) []Member {
	var all []Member
	_ = readObject(object, nil, func(name string, value jsontext.Value) error { // what is wrong with it is told elsewhere
		m := Member{Name: name}
		if slices.Contains(shown, name) {
			m.Value = string(value)
		}
		all = append(all, m)
		return nil
	})
	return all
}

// roots are the claims that a mapping reads.
func (m Mapping) roots() []string {
	var all []string
	for _, name := range []string{m.User.Name, m.App.Name, m.Team.Name, m.Roles, m.Task.Name} {
		if name != "" {
			all = append(all, steps(name)[0])
		}
	}
	return all
}
