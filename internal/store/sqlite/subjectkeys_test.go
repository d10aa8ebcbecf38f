package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// TestErasedKeyIsNowhere: after an erasure neither the file, its free space nor its WAL holds the bytes of the key, also
// while it is open.
func TestErasedKeyIsNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plumbline.db")
	st := open(t, path)
	var secrets [][]byte
	for _, subject := range []string{"user/ann", "user/ben", "user/zoe"} {
		secret := make([]byte, 72)
		_, _ = rand.Read(secret)
		secrets = append(secrets, secret)
		k := core.SubjectKey{ID: "key of " + subject, Subject: subject, Master: "m1", Wrapped: secret, Created: time.Now()}
		if _, err := st.SubjectKeys().Ensure(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if !holds(t, path, secrets[1]) {
		t.Fatal("the key is not found where it must be")
	}
	if err := st.SubjectKeys().Erase(t.Context(), "user/ben"); err != nil {
		t.Fatal(err)
	}
	if holds(t, path, secrets[1]) {
		t.Error("the erased key is still there")
	}
	if !holds(t, path, secrets[0]) || !holds(t, path, secrets[2]) {
		t.Error("a key is gone that was not erased")
	}
}

// holds reports whether the file or a companion of it holds a piece of b: what takes the place of a row can overwrite a part.
func holds(t *testing.T, path string, b []byte) bool {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for piece := range slices.Chunk(b, 8) {
			if bytes.Contains(data, piece) {
				return true
			}
		}
	}
	return false
}
