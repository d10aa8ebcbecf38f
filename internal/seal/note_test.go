package seal

import (
	"bytes"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// TestNote: a note opens with both keys, in the place that it was written for, and in no other way.
func TestNote(t *testing.T) {
	masters := NewMasterKeys()
	fresh := func(subject string) *Key {
		k, err := masters.Unwrap(masters.Make(subject, time.Unix(1, 0)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	key, day, other := fresh("user/ann"), fresh("sample/2026-03-11"), fresh("user/ben")
	rec := &core.Record{Exchange: "x1", Kind: core.RecordIntent}
	sealed := Note(rec, key, day, "about a garden")
	if text, err := OpenNote(rec, key, day, sealed); err != nil || text != "about a garden" {
		t.Errorf("%q, %v", text, err)
	}
	if bytes.Contains(sealed, []byte("garden")) || bytes.Equal(sealed, Note(rec, key, day, "about a garden")) {
		t.Error("it is not sealed, or twice the same")
	}
	for name, open := range map[string]func() (string, error){
		"the other's key": func() (string, error) { return OpenNote(rec, other, day, sealed) },
		"another day":     func() (string, error) { return OpenNote(rec, key, other, sealed) },
		"another exchange": func() (string, error) {
			return OpenNote(&core.Record{Exchange: "x2", Kind: rec.Kind}, key, day, sealed)
		},
		"another record": func() (string, error) {
			return OpenNote(&core.Record{Exchange: "x1", Kind: core.RecordDeny}, key, day, sealed)
		},
		"changed": func() (string, error) { return OpenNote(rec, key, day, append([]byte{sealed[0] ^ 1}, sealed[1:]...)) },
		"nothing": func() (string, error) { return OpenNote(rec, key, day, nil) },
		"a sample": func() (string, error) {
			at := Place{rec.Exchange, rec.Kind, FieldSample}
			return OpenNote(rec, key, day, day.Seal(key.Seal([]byte("a prompt"), at), at))
		},
	} {
		if text, err := open(); err == nil {
			t.Errorf("%s opens it: %q", name, text)
		}
	}
}
