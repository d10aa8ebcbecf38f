package redact

import (
	"strings"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/detect"
)

const (
	maxLocal  = 64  // of an e-mail address, before the @ (RFC 5321 §4.5.3.1)
	maxDomain = 253 // after it
)

// findEmails finds e-mail addresses.
func findEmails(s string, found []span) []span {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '@')
		if i < 0 {
			return found
		}
		at += i
		from, to := at, at+1
		for from > 0 && at-from < maxLocal && localByte(s[from-1]) {
			from--
		}
		from = runeStart(s, from)
		dot := false
		for to < len(s) && to-at <= maxDomain && domainByte(s[to]) {
			dot = dot || s[to] == '.' && to > at+1
			to++
		}
		to = runeStart(s, to)
		for to > at+1 && (s[to-1] == '.' || s[to-1] == '-') { // the end of a sentence
			to--
		}
		if from < at && dot && to > at+3 {
			found = append(found, span{from, to, kindEmail})
		}
		at++
	}
}

// runeStart is the first place from at on that is in no character's middle.
func runeStart(s string, at int) int {
	for at < len(s) && !utf8.RuneStart(s[at]) {
		at++
	}
	return at
}

// localByte also takes what is not ASCII, as RFC 6531 does.
func localByte(c byte) bool {
	return alphanumeric(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0 || c >= 0x80
}

func domainByte(c byte) bool { return alphanumeric(c) || c == '-' || c == '.' || c >= 0x80 }

// maxNumber bounds a number with what parts its digits: the longest is an IBAN of 34 in groups of four.
const maxNumber = 64

// findNumbers finds bank accounts, cards, phone numbers and social security numbers. What is found is skipped, so that a
// card is no phone number.
func findNumbers(s string, found []span) []span {
	for at := 0; at < len(s); {
		if at > 0 && alphanumeric(s[at-1]) || !numberStart(s, at) {
			at++
			continue
		}
		end, kind := number(s, at)
		if end == 0 {
			at++
			continue
		}
		found = append(found, span{at, end, kind})
		at = end
	}
	return found
}

func numberStart(s string, at int) bool {
	c := s[at]
	return digit(c) || c == '+' || c == '(' || letter(c) && at+3 < len(s) && letter(s[at+1]) && digit(s[at+2]) && digit(s[at+3])
}

// number is the end and the kind of what begins at a place, 0 for nothing.
func number(s string, at int) (end int, kind string) {
	if letter(s[at]) {
		return iban(s, at), kindIBAN
	}
	if end := ssn(s, at); end > 0 {
		return end, kindSSN
	}
	if end := card(s, at); end > 0 {
		return end, kindCard
	}
	return phone(s, at), kindPhone
}

// iban finds a bank account of 15 to 34 letters and digits, in groups or not, whose number modulo 97 is 1 (ISO 13616).
func iban(s string, at int) int {
	var plain [34]byte
	n, end := 0, 0
	for i := at; i < len(s) && i-at < maxNumber; i++ {
		c := s[i]
		switch {
		case alphanumeric(c):
			if n == len(plain) {
				return end
			}
			if letter(c) {
				c &^= 0x20
			}
			plain[n] = c
			n++
			if last := i+1 == len(s) || !alphanumeric(s[i+1]); last && n >= 15 && detect.Mod97(plain[:n]) {
				end = i + 1
			}
		case (c == ' ' || c == '-') && n > 0 && i+1 < len(s) && alphanumeric(s[i+1]):
		default:
			return end
		}
	}
	return end
}

// card finds a payment card of 13 to 19 digits with the check digit of Luhn (ISO/IEC 7812-1).
func card(s string, at int) int {
	if c := s[at]; c < '2' || c > '6' { // the first digit of those that are issued for payment
		return 0
	}
	var digits [19]byte
	n, end := 0, 0
	for i := at; i < len(s) && i-at < maxNumber; i++ {
		c := s[i]
		switch {
		case digit(c):
			if n == len(digits) {
				return end
			}
			digits[n] = c - '0'
			n++
			if last := i+1 == len(s) || !alphanumeric(s[i+1]); last && n >= 13 && detect.Luhn(digits[:n]) {
				end = i + 1
			}
		case (c == ' ' || c == '-' || c == '.') && i+1 < len(s) && digit(s[i+1]):
		default:
			return end
		}
	}
	return end
}

// ssn finds three, two and four digits, parted by dashes.
func ssn(s string, at int) int {
	const form = "ddd-dd-dddd"
	if len(s)-at < len(form) {
		return 0
	}
	for i := range len(form) {
		if c := s[at+i]; form[i] == 'd' && !digit(c) || form[i] == '-' && c != '-' {
			return 0
		}
	}
	if end := at + len(form); end == len(s) || !alphanumeric(s[end]) {
		return end
	}
	return 0
}

// phone finds a number of 8 to 15 digits (E.164) that begins with +, or of 9 to 15 that are parted as people part them and
// begin with 0, a bracket, or three digits and what parts them. Digits without any of it are just a number.
func phone(s string, at int) int {
	const separators = " -./()\u00a0"
	n, end, parts, lastDigit := 0, 0, 0, -1
	i := at
	if s[i] == '+' {
		i++
	}
	for ; i < len(s) && i-at < maxNumber; i++ {
		c := s[i]
		if digit(c) {
			if lastDigit >= 0 && lastDigit < i-1 {
				parts++
			}
			n++
			lastDigit, end = i, i+1
			continue
		}
		if strings.IndexByte(separators, c) < 0 || lastDigit >= 0 && i-lastDigit > 3 {
			break
		}
	}
	if n > 15 || end < len(s) && end > 0 && alphanumeric(s[end]) {
		return 0
	}
	switch c := s[at]; {
	case c == '+' && n >= 8,
		(c == '0' || c == '(') && n >= 9 && (parts > 0 || c == '('),
		n >= 10 && parts >= 2 && at+3 < len(s) && !digit(s[at+3]) && digit(s[at+2]):
		return end
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
