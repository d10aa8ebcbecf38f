package detect

import (
	"testing"

	"pgregory.net/rapid"
)

// TestNextDigit: a digit is found wherever it stands among bytes of every kind.
func TestNextDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SliceOfN(rapid.OneOf(rapid.ByteRange('/', ':'), rapid.Byte()), 0, 40).Draw(t, "bytes")
		from := rapid.IntRange(0, len(s)).Draw(t, "from")
		want := from
		for want < len(s) && (s[want] < '0' || s[want] > '9') {
			want++
		}
		if got := nextDigit(string(s), from); got != want {
			t.Errorf("from %d: %d, want %d", from, got, want)
		}
	})
}
