package redact

import (
	"strings"

	"github.com/plumbline/plumbline/internal/detect"
)

// findFormats finds credentials, cards and accounts in the very forms of their issuers.
func findFormats(s string, found []span) []span {
	for _, secret := range detect.Secrets(nil, s) {
		kind := kindSecret
		switch secret.Kind {
		case detect.KindPrivateKey:
			kind = kindKey
		case detect.KindCard:
			kind = kindCard
		case detect.KindIBAN:
			kind = kindIBAN
		}
		found = append(found, span{secret.From, secret.To, kind})
	}
	return found
}

// findKeys finds keys in PEM. One whose end is not there goes to the end of the text.
func findKeys(s string, found []span) []span {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	for at := 0; ; {
		i := strings.Index(s[at:], begin)
		if i < 0 {
			return found
		}
		from, to := at+i, len(s)
		if j := strings.Index(s[from:], end); j >= 0 {
			to = from + j + len(end)
			if k := strings.Index(s[to:min(len(s), to+64)], dashes); k >= 0 {
				to += k + len(dashes)
			}
		}
		found = append(found, span{from, to, kindKey})
		at = to
	}
}

// prefixes begin credentials of well-known issuers. What follows has least bytes of a token at least. They are masked also
// where they are no token of that format: shortened, mistyped, from an example.
var prefixes = [...]struct {
	text  string
	least int
}{
	{"sk-", 16},
	{"sk_live_", 10},
	{"sk_test_", 10},
	{"rk_live_", 10},
	{"pk_live_", 10},
	{"whsec_", 16},
	{"pl_", 20}, // OpenAI and others, Stripe, Plumbline
	{"ghp_", 20},
	{"gho_", 20},
	{"ghu_", 20},
	{"ghs_", 20},
	{"ghr_", 20},
	{"github_pat_", 20},
	{"glpat-", 16}, // GitHub, GitLab
	{"xoxb-", 10},
	{"xoxa-", 10},
	{"xoxp-", 10},
	{"xoxr-", 10},
	{"xoxs-", 10},
	{"xapp-", 10}, // Slack
	{"AKIA", 16},
	{"ASIA", 16},
	{"AIza", 30},
	{"ya29.", 20},
	{"GOCSPX-", 16}, // AWS, Google
	{"hf_", 20},
	{"npm_", 20},
	{"pypi-", 20},
	{"dop_v1_", 20},
	{"shpat_", 20},
	{"SG.", 20},
	{"key-", 32},
	{"dckr_pat_", 16},
	{"sq0", 20},
	{"eyJ", 24}, // a JSON Web Token, whose header begins with {"
}

const (
	// unnamedLength is from which length on a run of letters and digits is a secret by its looks.
	unnamedLength = 24
	// hexLength is the same for one of hexadecimal digits. A UUID has 32, parted by dashes.
	hexLength = 32
)

// findTokens finds credentials by their prefix, and what looks random.
func findTokens(s string, found []span) []span {
	for at := 0; at < len(s); {
		if !tokenByte(s[at]) {
			at++
			continue
		}
		from := at
		for at < len(s) && tokenByte(s[at]) {
			at++
		}
		found = token(s, from, at, found)
	}
	return found
}

// token looks at one run of the bytes that tokens are made of. A prefix may follow a word that is joined to it by one of
// = : / or . , as in key=sk-….
func token(s string, from, to int, found []span) []span {
	run := s[from:to]
	if random(run) {
		return append(found, span{from, to, kindSecret})
	}
	for i := 0; i < len(run); i++ {
		if i > 0 && alphanumeric(run[i-1]) {
			continue
		}
		for _, p := range prefixes {
			if strings.HasPrefix(run[i:], p.text) && len(run)-i-len(p.text) >= p.least {
				return append(found, span{from + i, to, kindSecret})
			}
		}
	}
	return found
}

// random reports whether a run looks as nothing does that people write: long, of large and small letters and digits, or
// all of it hexadecimal digits.
func random(run string) bool {
	var upper, lower, digits, hex, others, longest, now int
	for i := range len(run) {
		c := run[i]
		switch {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'z':
			lower++
			if c <= 'f' {
				hex++
			}
		case c >= 'A' && c <= 'Z':
			upper++
			if c <= 'F' {
				hex++
			}
		default:
			others++
			if c != '+' {
				now = -1
			}
		}
		now++
		longest = max(longest, now)
	}
	switch {
	case longest >= hexLength && hex == len(run)-others && digits > 0 && digits < hex:
		return true
	case longest < unnamedLength:
		return false
	}
	return digits >= 2 && upper >= 2 && lower >= 2
}

func tokenByte(c byte) bool {
	return alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == '+' || c == '/' || c == '=' || c == '~'
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// names are words after which a secret is written, in lower case, without what parts them: api-key is apikey.
var names = [...]string{
	"password", "passwd", "passphrase", "pwd", "passwort", "kennwort", "secret", "token", "apikey", "accesskey", "secretkey",
	"privatekey", "clientsecret", "authorization", "bearer", "pin", "credential", "credentials",
}

const (
	// maxName is how long a name is at most, and maxBetween what may stand between it and the secret.
	maxName    = 32
	maxBetween = 12
	maxValue   = 512
)

// findNamed finds what is named as a secret: password: x, "token": "x", the password is x, Bearer x.
func findNamed(s string, found []span) []span {
	for at := 0; at < len(s); {
		if !nameByte(s[at]) {
			at++
			continue
		}
		from := at
		for at < len(s) && nameByte(s[at]) {
			at++
		}
		if at-from > maxName || !secretName(s[from:at]) {
			continue
		}
		value := afterName(s, at)
		if value == 0 {
			continue
		}
		end := valueEnd(s, value)
		if scheme(s[value:end]) { // Authorization: Basic x
			for value = end; value < len(s) && s[value] == ' ' && value-end < maxBetween; value++ {
			}
			end = valueEnd(s, value)
		}
		if end > value {
			found = append(found, span{value, end, kindSecret})
			at = end
		}
	}
	return found
}

// scheme reports whether a word says in which form a credential follows.
func scheme(word string) bool {
	return strings.EqualFold(word, "basic") || strings.EqualFold(word, "bearer") || strings.EqualFold(word, "token")
}

func nameByte(c byte) bool { return alphanumeric(c) || c == '_' || c == '-' }

// secretName reports whether a word ends in one of names: db_password is one.
func secretName(word string) bool {
	var plain [maxName]byte
	n := 0
	for i := range len(word) {
		if c := word[i]; c != '_' && c != '-' {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			plain[n] = c
			n++
		}
	}
	text := string(plain[:n])
	for _, name := range names {
		if name == "pin" && text != name { // spin, pumpkin
			continue
		}
		if strings.HasSuffix(text, name) {
			return true
		}
	}
	return false
}

// afterName is where the value begins that a name is followed by, or 0 for none.
func afterName(s string, at int) int {
	said := s[at-1]|0x20 == 'r' && at >= 6 && strings.EqualFold(s[at-6:at], "bearer") // Bearer needs nothing between
	most := min(len(s), at+maxBetween)
	for at < most {
		switch c := s[at]; {
		case c == ' ', c == '\t', c == '"', c == '\'', c == '`', c == '*', c == '\n', c == '>':
			at++
		case c == ':', c == '=':
			said = true
			at++
		case strings.HasPrefix(s[at:most], "is "), strings.HasPrefix(s[at:most], "as "):
			said = true
			at += len("is ")
		case said:
			return at
		default:
			return 0
		}
	}
	return 0
}

// valueEnd is where a value ends that begins at a place: before its quote, or before what parts words.
func valueEnd(s string, at int) int {
	end := at
	if q := s[at-1]; q == '"' || q == '\'' || q == '`' {
		if n := strings.IndexByte(s[at:min(len(s), at+maxValue)], q); n > 0 && !strings.Contains(s[at:at+n], "\n") {
			return at + n
		}
	}
	for end < len(s) && end-at < maxValue {
		switch s[end] {
		case ' ', '\t', '\n', '\r', '"', '\'', '`', ',', ';', '<', '}', ')':
			return end
		}
		end++
	}
	return runeStart(s, end)
}

// findURLs finds the password in scheme://user:password@host.
func findURLs(s string, found []span) []span {
	for at := 0; ; {
		i := strings.Index(s[at:], "://")
		if i < 0 {
			return found
		}
		at += i + len("://")
		colon := -1
		for end := at; end < len(s) && end-at < maxValue; end++ {
			c := s[end]
			if c == ':' && colon < 0 {
				colon = end
			}
			if c == '@' && colon >= 0 && end > colon+1 {
				found = append(found, span{colon + 1, end, kindSecret})
			}
			if c <= ' ' || c == '/' || c == '"' {
				break
			}
		}
	}
}
