package core

import "unicode/utf8"

// Head is as much of the beginning of s as fits into most bytes without cutting a character in two.
func Head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
