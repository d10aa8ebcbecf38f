package core_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
)

func TestHeadIsTheLongestThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, most := rapid.StringN(0, 20, -1).Draw(t, "s"), rapid.IntRange(0, 90).Draw(t, "most")
		got := core.Head(s, most)
		if len(got) > most || !strings.HasPrefix(s, got) || !utf8.ValidString(got) {
			t.Fatalf("%q of %q in %d bytes", got, s, most)
		}
		if rest := s[len(got):]; rest != "" {
			if _, size := utf8.DecodeRuneInString(rest); len(got)+size <= most {
				t.Fatalf("%q of %q leaves out a character that fits into %d bytes", got, s, most)
			}
		}
	})
}
