package identity

import (
	"crypto/sha256"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppKeyForm(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		key, hash, hint, err := NewAppKey()
		if err != nil {
			t.Fatal(err)
		}
		parsed, ok := ParseAppKey(key)
		switch {
		case len(key) != 52 || !strings.HasPrefix(key, "pl_"):
			t.Fatalf("form of %q", key)
		case !ok || parsed != hash || hash != sha256.Sum256([]byte(key)):
			t.Fatalf("%q does not parse to its hash", key)
		case hint != key[42:46]:
			t.Fatalf("hint %q of %q", hint, key)
		case seen[key]:
			t.Fatalf("%q twice", key)
		}
		seen[key] = true
	}
}

// Keys that were handed out must stay valid: the checksum is part of the format.
func TestAppKeyChecksumIsStable(t *testing.T) {
	const body = "pl_0000000000000000000000000000000000000000000"
	if got := checksum(body); got != "3f3lXz" {
		t.Errorf("checksum %q", got)
	}
	if _, ok := ParseAppKey(body + "3f3lXz"); !ok {
		t.Error("known key is refused")
	}
}

// A typo is any one character that is another, missing, doubled or exchanged with its neighbour.
func TestAppKeyTypos(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, _, _, err := NewAppKey()
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(key)-1).Draw(t, "at")
		var typo string
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			typo = key[:at] + string(rapid.SampledFrom([]byte("09azAZ_- é\n")).Draw(t, "other")) + key[at+1:]
		case 1:
			typo = key[:at] + key[at+1:]
		case 2:
			typo = key[:at] + key[at:at+1] + key[at:]
		case 3:
			next := (at + 1) % len(key)
			b := []byte(key)
			b[at], b[next] = b[next], b[at]
			typo = string(b)
		}
		if _, ok := ParseAppKey(typo); ok && typo != key {
			t.Fatalf("%q passes for %q", typo, key)
		}
	})
}

func FuzzParseAppKey(f *testing.F) {
	key, _, _, err := NewAppKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add("")
	f.Add("pl_")
	f.Add(strings.Repeat("0", appKeyLength))
	f.Add(key[:len(key)-1] + "é")
	f.Fuzz(func(t *testing.T, s string) {
		hash, ok := ParseAppKey(s)
		switch {
		case !ok && hash != [32]byte{}:
			t.Error("a hash of a key that is refused")
		case ok && (len(s) != appKeyLength || s[:3] != "pl_" || checksum(s[:appKeyBody]) != s[appKeyBody:]):
			t.Errorf("accepted %q", s)
		}
	})
}
