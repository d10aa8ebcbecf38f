package identity

import (
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Claims of Plumbline's own tokens beside the registered ones (RFC 7519 §4.1). Other issuers' tokens may not use them.
const (
	claimKind = "pl_kind" // what sub names: kindUser, also when absent, or kindApp
	claimApp  = "pl_app"  // the app that calls in the name of the user

	kindUser = "user"
	kindApp  = "app"
)

// claims are the claims of a token, read strictly but not yet believed. Times are in seconds since 1970, 0 when absent.
type claims struct {
	issuer, subject, id        string
	session                    string     // sid (OpenID Connect Front-Channel Logout §3)
	actor                      string     // of act
	bound                      thumbprint // of cnf, zero when absent
	kind, app                  string
	audience                   []string
	expires, issued, notBefore int64
}

var claimNames = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "act", "cnf", "events", claimKind, claimApp}

// parseClaims reads the payload of a token. The presence of iss, sub and exp is part of the form; what they say is not
// judged here.
func parseClaims(payload []byte) (claims, error) {
	var c claims
	err := readObject(payload, claimNames, func(name string, value jsontext.Value) (err error) {
		switch name {
		case "iss":
			c.issuer, err = identifier(value)
		case "sub":
			c.subject, err = identifier(value)
		case "jti":
			c.id, err = identifier(value)
		case claimKind:
			c.kind, err = identifier(value)
		case claimApp:
			c.app, err = identifier(value)
		case "aud":
			c.audience, err = audience(value)
		case "exp":
			c.expires, err = seconds(value)
		case "nbf":
			c.notBefore, err = seconds(value)
		case "iat":
			c.issued, err = seconds(value)
		case "sid":
			c.session, err = identifier(value)
		case "act":
			c.actor, err = actor(value)
		case "cnf":
			c.bound, err = bound(value)
		case "events":
			// Logout tokens and the like (RFC 8417) have the issuer, the keys and often the audience of a credential.
			err = errClaimEvent
		}
		return err
	})
	switch {
	case err != nil:
		return c, err
	case c.issuer == "" || c.subject == "":
		return c, errClaimText
	case c.expires == 0:
		return c, errExpiryMissing
	}
	return c, nil
}

func identifier(v jsontext.Value) (string, error) {
	s, ok := text(v)
	if !ok || !isIdentifier(s) {
		return "", errClaimText
	}
	return s, nil
}

// audience reads a string or a list of strings (RFC 7519 §4.1.3).
func audience(v jsontext.Value) ([]string, error) {
	if s, ok := text(v); ok {
		return []string{s}, nil
	}
	all, ok := texts(v)
	if !ok {
		return nil, errClaimAudience
	}
	return all, nil
}

// seconds reads a time: a positive integer written in digits alone, of at most twelve (the year 33658). RFC 7519 would
// allow fractions and exponents; no issuer needs them, and readers disagree about them.
func seconds(v jsontext.Value) (int64, error) {
	n, err := strconv.ParseUint(string(v), 10, 63)
	if v.Kind() != '0' || err != nil || n == 0 || len(v) > 12 {
		return 0, errClaimTime
	}
	return int64(n), nil
}

// judge checks what verified claims say at a time.
func (c *claims) judge(t *trust, now time.Time, leeway time.Duration) error {
	expires := time.Unix(c.expires, 0)
	issued := now // when iat is absent, only the time that is left can be judged
	if c.issued != 0 {
		issued = time.Unix(c.issued, 0)
	}
	switch {
	case !slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(t.audiences, a) }):
		return errAudience
	case !now.Before(expires.Add(leeway)):
		return errExpired
	case now.Add(leeway).Before(time.Unix(c.notBefore, 0)):
		return errNotYet
	case now.Add(leeway).Before(issued):
		return errFuture
	case expires.Sub(issued) > t.maxLifetime:
		return errLifetime
	case t.own:
		return c.judgeOwn()
	}
	return nil
}

// judgeOwn checks what only tokens of Plumbline's own issuer must say: enough to revoke them.
func (c *claims) judgeOwn() error {
	switch {
	case c.id == "":
		return errClaimID
	case c.issued == 0:
		return errIssuedMissing
	case c.kind != "" && c.kind != kindUser && c.kind != kindApp,
		c.kind == kindApp && c.app != "":
		return errClaimKind
	}
	return nil
}
