package seal

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestXAESVectors: the two vectors of the specification (C2SP, XAES-256-GCM.md).
func TestXAESVectors(t *testing.T) {
	nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
	for _, v := range []struct {
		key         byte
		bound, want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		a := newAEAD(bytes.Repeat([]byte{v.key}, keySize))
		got := a.derive(nonce).Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(v.bound))
		if hex.EncodeToString(got) != v.want {
			t.Errorf("key %#x: %x, want %s", v.key, got, v.want)
		}
		text, err := a.open(append(bytes.Clone(nonce), got...), []byte(v.bound))
		if err != nil || string(text) != "XAES-256-GCM" {
			t.Errorf("key %#x: opened %q, %v", v.key, text, err)
		}
	}
}

func TestNoncesDiffer(t *testing.T) {
	a, seen := newAEAD(make([]byte, keySize)), map[string]bool{}
	for range 1000 {
		seen[string(a.seal(nil, nil)[:nonceSize])] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 nonces differ", len(seen))
	}
}

func BenchmarkSeal2kB(b *testing.B) {
	a, text := newAEAD(make([]byte, keySize)), make([]byte, 2<<10)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		a.seal(text, []byte("place"))
	}
}
