package detect

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// The kinds that have a reader of their own.
const (
	KindPrivateKey = "private_key"
	KindJWT        = "jwt"
	KindCard       = "payment_card"
	KindIBAN       = "iban"
)

// A private key in PEM (RFC 7468), or in the armour of PGP (RFC 9580 §6.2).
const (
	maxLabel   = 48
	minKey     = 64       // characters in base 64: the shortest keys in use have as many
	maxKey     = 16 << 10 // bytes of the text: an RSA key of 16,384 bits fits
	maxHeader  = 128      // characters in which the lines stand that say how the key is kept
	minKeyLine = 40       // characters in a row, of one line at least: prose about keys has none
	keyEntropy = 3.5
)

// between may stand between the lines of a key, as text, in a literal or quoted.
var between = newSet(" \t\r\n\"'`,:.>|()")

// privateKey reads on after "-----BEGIN ". The end of the block may be missing: it is found by what it holds.
func (r *reader) privateKey(secret Secret) (Secret, bool) {
	label, _, ok := strings.Cut(r.s[r.at:min(len(r.s), r.at+maxLabel)], "-----")
	if !ok || !strings.HasSuffix(strings.TrimSuffix(label, " BLOCK"), "PRIVATE KEY") {
		return secret, false
	}
	r.at += len(label) + len("-----")
	held, row, longest := 0, 0, 0
	end := min(len(r.s), r.at+maxKey)
	for r.at < end {
		c := r.s[r.at]
		if row++; !sets['B'][c] {
			row = 0
		}
		longest = max(longest, row)
		switch {
		case c == '-' && strings.HasPrefix(r.s[r.at:], "-----END "):
			secret.To = r.lineEnd()
			return secret, r.isKey(held, longest)
		case c == '\\' && r.at+1 < end:
			r.at++ // an escape: \n in JSON
			r.spent++
		case sets['B'][c]:
			held++
			if r.n < maxBody {
				r.body[r.n] = c
				r.n++
			}
		case between[c] || c == '-' && held < maxHeader: // Proc-Type: 4,ENCRYPTED
		default:
			end = r.at
			continue
		}
		r.at++
		r.spent++
	}
	secret.To = end
	return secret, r.isKey(held, longest)
}

// isKey reports whether what was read is a key, given how many characters it has and the most of them in a row.
func (r *reader) isKey(held, longest int) bool {
	return held >= minKey && longest >= minKeyLine && entropy(r.body[:r.n]) >= keyEntropy
}

// lineEnd is where the line "-----END … -----" ends.
func (r *reader) lineEnd() int {
	at := r.at + len("-----END ")
	if n := strings.Index(r.s[at:min(len(r.s), at+maxLabel)], "-----"); n >= 0 {
		return at + n + len("-----")
	}
	return at
}

// Parts of a JSON Web Token (RFC 7519) in compact form.
const (
	maxJOSE      = 1024
	maxClaims    = 16 << 10
	minSignature = 16 // the shortest that is secure has 43
	fullSHA256   = 43
)

// jwt reads on after "eyJ", which is {" in base 64: a header that says an algorithm, claims, a signature.
func (r *reader) jwt(secret Secret) (Secret, bool) {
	if !boundary(r.s, secret.From) || secret.From > 0 && (r.s[secret.From-1] == '-' || r.s[secret.From-1] == '_') {
		return secret, false
	}
	r.at = secret.From
	if !r.part(maxJOSE) || !r.header() {
		return secret, false
	}
	r.at++
	r.n, r.joins = 0, 0
	if !strings.HasPrefix(r.s[r.at:], "ey") || !r.part(maxClaims) {
		return secret, false
	}
	r.at++
	r.joins = 0
	n := 0
	for n < maxClaims {
		switch {
		case r.at < len(r.s) && base64URL[r.s[r.at]]:
			r.at++
			r.spent++
			n++
		case n < fullSHA256 && r.join(base64URL):
		default:
			secret.To = r.at
			return secret, n >= minSignature
		}
	}
	secret.To = r.at
	return secret, true
}

var base64URL = sets['t']

// part reads one part of a token up to the dot behind it, and keeps its beginning.
func (r *reader) part(most int) bool {
	for n := 0; n < most && r.at < len(r.s); n++ {
		switch c := r.s[r.at]; {
		case base64URL[c]:
			r.keep(c)
		case c == '.':
			return n > 0
		case r.join(base64URL):
		default:
			return false
		}
	}
	return false
}

// header reports whether what was read is a header in JSON that names an algorithm.
func (r *reader) header() bool {
	var text [maxBody]byte
	n, err := base64.RawURLEncoding.Decode(text[:], r.body[:r.n])
	if err != nil && r.n < maxBody {
		return false
	}
	head := text[:n]
	return bytes.HasPrefix(head, []byte(`{"`)) && (bytes.Contains(head, []byte(`"alg"`)) || bytes.Contains(head, []byte(`"enc"`)))
}
