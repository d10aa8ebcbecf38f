package seal

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Note seals what was written about the sample that rec holds, as the sample itself is: under the person's key, then under
// that of the day. Destroying either ends it. It stands beside the records, and opens for this one alone.
func Note(rec *core.Record, key, day *Key, text string) []byte {
	at := Place{rec.Exchange, rec.Kind, FieldNote}
	return day.Seal(key.Seal([]byte(text), at), at)
}

// OpenNote gives back what Note was given.
func OpenNote(rec *core.Record, key, day *Key, sealed []byte) (string, error) {
	at := Place{rec.Exchange, rec.Kind, FieldNote}
	inner, err := day.Open(sealed, at)
	if err == nil {
		inner, err = key.Open(inner, at)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", FieldNote, err)
	}
	return string(inner), nil
}
