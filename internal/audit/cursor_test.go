package audit_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
)

// FuzzReadCursor: a cursor gives its place back, and whatever is not one is an error.
func FuzzReadCursor(f *testing.F) {
	f.Add(byte('l'), audit.Cursor('l', []byte{1, 2}))
	f.Add(byte('p'), "nonsense")
	f.Fuzz(func(t *testing.T, store byte, cursor string) {
		place, err := audit.ReadCursor(store, cursor)
		if err != nil {
			if !errors.Is(err, audit.ErrCursor) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := audit.Cursor(store, place); again != cursor {
			t.Errorf("%q and %q are one place", cursor, again)
		}
		if _, err := audit.ReadCursor(store+1, cursor); err == nil {
			t.Error("the other store takes it too")
		}
		if back, err := audit.ReadCursor(store, audit.Cursor(store, place)); err != nil || !bytes.Equal(back, place) {
			t.Errorf("%x came back as %x: %v", place, back, err)
		}
	})
}
