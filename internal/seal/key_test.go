package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
)

// TestOpensInItsPlaceAlone: nothing that is moved to another exchange, step, field or person opens, and nothing that was
// changed in any bit.
func TestOpensInItsPlaceAlone(t *testing.T) {
	masters := seal.NewMasterKeys()
	unwrap := func(k core.SubjectKey) *seal.Key {
		t.Helper()
		key, err := masters.Unwrap(k)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	ann := masters.Make("user/ann", time.Now())
	key, other := unwrap(ann), unwrap(masters.Make("user/ann", time.Now()))
	place := seal.Place{Exchange: "x1", Kind: core.RecordIntent, Field: seal.FieldPrompt}
	sealed := key.Seal([]byte("words"), place)
	if text, err := key.Open(sealed, place); err != nil || string(text) != "words" {
		t.Fatalf("opened %q, %v", text, err)
	}
	for _, p := range []seal.Place{
		{Exchange: "x2", Kind: core.RecordIntent, Field: seal.FieldPrompt},
		{Exchange: "x1", Kind: core.RecordDeny, Field: seal.FieldPrompt},
		{Exchange: "x1", Kind: core.RecordIntent, Field: seal.FieldSample},
		{Exchange: "x1i", Kind: "ntent", Field: seal.FieldPrompt},
	} {
		if _, err := key.Open(sealed, p); err == nil {
			t.Errorf("opens at %+v", p)
		}
	}
	if _, err := other.Open(sealed, place); err == nil {
		t.Error("opens under another key")
	}
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if _, err := key.Open(changed, place); err == nil {
				t.Fatalf("opens with bit %d of byte %d changed", bit, i)
			}
		}
		if _, err := key.Open(sealed[:i], place); err == nil {
			t.Fatalf("opens with %d bytes", i)
		}
	}

	// A row of the store that is given to somebody else does not unwrap.
	for _, stolen := range []func(*core.SubjectKey){
		func(k *core.SubjectKey) { k.Subject = "user/ben" }, func(k *core.SubjectKey) { k.ID = "another" },
		func(k *core.SubjectKey) { k.Wrapped = bytes.Clone(k.Wrapped); k.Wrapped[40] ^= 1 }, func(k *core.SubjectKey) { k.Wrapped = nil },
	} {
		k := ann
		stolen(&k)
		if _, err := masters.Unwrap(k); err == nil {
			t.Errorf("unwraps as %+v", k)
		}
	}
	if _, err := seal.NewMasterKeys().Unwrap(ann); !errors.Is(err, seal.ErrUnknownMaster) {
		t.Errorf("under another master key: %v", err)
	}
	ann.Erased = time.Now()
	if _, err := masters.Unwrap(ann); !errors.Is(err, seal.ErrErased) {
		t.Errorf("erased: %v", err)
	}
}

func TestHashesTellTextsApart(t *testing.T) {
	masters := seal.NewMasterKeys()
	hash := func(subject string, f seal.Field, parts ...core.Part) string {
		k, err := masters.Unwrap(masters.Make(subject, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(k.Hash(f, parts), k.Hash(f, parts)) {
			t.Error("equal texts have other hashes")
		}
		return string(k.Hash(f, parts))
	}
	user := func(s string) core.Part { return core.Part{Role: core.RoleUser, Kind: core.KindText, Text: s} }
	k, err := masters.Unwrap(masters.Make("user/ann", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{hash("user/ann", seal.FieldPrompt, user("ab")): true, hash("user/ann", seal.FieldPrompt, user("ab")): true}
	for _, parts := range [][]core.Part{{user("ab")}, {user("a"), user("b")}, {user("ab"), user("")}, {{Role: core.RoleUser + "t", Text: "ab"}}, nil} {
		seen[string(k.Hash(seal.FieldPrompt, parts))] = true
	}
	seen[string(k.Hash(seal.FieldAnswer, []core.Part{user("ab")}))] = true
	if len(seen) != 8 {
		t.Errorf("%d of 8 hashes differ", len(seen))
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "masters")
	old := seal.NewMasterKeys()
	if err := seal.CreateMasterFile(path, old); err != nil {
		t.Fatal(err)
	}
	if err := seal.CreateMasterFile(path, seal.NewMasterKeys()); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file is written over: %v", err)
	}
	kept := old.Make("user/ann", time.Now())
	both, err := old.Rotated()
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.ReplaceMasterFile(path, both); err != nil {
		t.Fatal(err)
	}
	read, err := seal.ReadMasterKeys(path)
	if err != nil || read.Current() == old.Current() || len(read.IDs()) != 2 {
		t.Fatalf("read %v, %v", read.IDs(), err)
	}
	before, err := read.Unwrap(kept)
	if err != nil {
		t.Fatal(err)
	}
	anew, other, err := read.Rewrap(kept)
	if err != nil || !other || anew.Master != read.Current() {
		t.Fatalf("rewrapped by %s, %v, %v", anew.Master, other, err)
	}
	if _, other, err := read.Rewrap(anew); other || err != nil {
		t.Errorf("rewrapped again: %v, %v", other, err)
	}
	after, err := read.Only().Unwrap(anew)
	if err != nil {
		t.Fatal(err)
	}
	place := seal.Place{Exchange: "x"}
	if text, err := after.Open(before.Seal([]byte("words"), place), place); err != nil || string(text) != "words" {
		t.Errorf("after the rotation: %q, %v", text, err)
	}
	if _, err := read.Only().Unwrap(kept); !errors.Is(err, seal.ErrUnknownMaster) {
		t.Errorf("under the old wrapping: %v", err)
	}
}

func TestMasterFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := seal.CreateMasterFile(good, seal.NewMasterKeys()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	key := lines[len(lines)-1]
	words := strings.Fields(key)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"others":    {key, 0o604, "chmod o="},
		"empty":     {"# nothing\n", 0o600, "holds no key"},
		"twice":     {key + "\n" + key, 0o600, "line 2"},
		"id":        {words[0] + " mk-0000000000000000 " + words[2], 0o600, "id is not that of the key"},
		"short":     {words[0] + " " + words[1] + " AAAA", 0o600, "32 bytes"},
		"word":      {"key " + words[1] + " " + words[2], 0o600, "plumbline-master-key-v1"},
		"spaces":    {words[0] + "  " + words[1] + " " + words[2], 0o600, "one space"},
		"too large": {strings.Repeat("#\n", 40<<10), 0o600, "is too large: more than"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.ReadMasterKeys(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), words[2]) {
			t.Errorf("%s: %v, want %q and no key", name, err, c.want)
		}
	}
	if err := os.Chmod(good, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.ReadMasterKeys(good); err != nil {
		t.Errorf("readable by its group: %v", err)
	}
	if _, err := seal.ReadMasterKeys(dir); err == nil {
		t.Error("a directory is read")
	}
	if _, err := seal.ReadMasterKeys(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzParseMasterKeys(f *testing.F) {
	f.Add("plumbline-master-key-v1 mk-0000000000000000 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("# words\r\n\nplumbline-master-key-v1 x y z")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := seal.ParseMasterKeys([]byte(text))
		if err == nil && (m.Current() == "" || m.IDs()[0] != m.Current()) {
			t.Errorf("keys %v, current %q", m.IDs(), m.Current())
		}
	})
}
