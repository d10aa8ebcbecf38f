// Package redact masks secrets and personal data in text: private keys, API keys and tokens, passwords that are named as
// such, credentials in addresses, e-mail addresses, phone numbers, bank accounts (IBAN, with its checksum), payment cards
// (with theirs) and US social security numbers.
//
// What package detect finds is masked as well, with its pieces where it was split over lines: what a policy calls a secret is
// never kept. The finders here go further, and take for a secret what only looks like one.
//
// Contract: each finder goes through the text once, and looks back or ahead from a place for a bounded number of bytes
// only, so that the time is linear in the text, whatever it is. A finder rather masks too much than too little. What it
// cannot find: what is spelt out, encoded, or is personal without a form, such as names and addresses.
//
// Of Plumbline it imports detect only.
package redact

import (
	"cmp"
	"slices"
	"strings"
)

// The kinds of what is masked. They stand in the text in its place.
const (
	kindKey    = "[masked:private-key]"
	kindSecret = "[masked:secret]"
	kindEmail  = "[masked:email]"
	kindPhone  = "[masked:phone]"
	kindIBAN   = "[masked:iban]"
	kindCard   = "[masked:card]"
	kindSSN    = "[masked:ssn]"
)

// span is a piece of the text that is masked.
type span struct {
	from, to int
	kind     string
}

// finders each add what they find to the spans, in the order of the text.
var finders = [...]func(s string, found []span) []span{findKeys, findFormats, findTokens, findNamed, findURLs, findEmails, findNumbers}

// Text masks what it finds in s, and says how many pieces those were.
func Text(s string) (masked string, pieces int) { return Head(s, len(s)) }

// Head masks what it finds in s, of which all is looked at, and gives what stands before byte most. What begins before it
// and ends after is masked as a whole.
func Head(s string, most int) (masked string, pieces int) {
	var found []span
	for _, find := range finders {
		found = find(s, found)
	}
	if len(found) == 0 {
		return s[:most], 0
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var b strings.Builder
	b.Grow(most)
	at := 0
	for _, f := range merged(found) {
		if f.from >= most {
			break
		}
		b.WriteString(s[at:f.from])
		b.WriteString(f.kind)
		at = f.to
		pieces++
	}
	if at < most {
		b.WriteString(s[at:most])
	}
	return b.String(), pieces
}

// merged makes one of spans that overlap, under the kind of the first.
func merged(found []span) []span {
	out := found[:1]
	for _, f := range found[1:] {
		if last := &out[len(out)-1]; f.from < last.to {
			last.to = max(last.to, f.to)
		} else {
			out = append(out, f)
		}
	}
	return out
}
