package layout

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// SubjectKeyColumns are those of a subject's key, in the order in which they are read and written.
const SubjectKeyColumns = "id, subject, master, wrapped, created, erased"

// SubjectKeyValues are a key's columns.
func SubjectKeyValues(k core.SubjectKey) []any {
	return []any{k.ID, k.Subject, k.Master, k.Wrapped, store.Micros(k.Created), store.Micros(k.Erased)}
}

// ScanSubjectKey reads a key.
func ScanSubjectKey(row Scanner) (k core.SubjectKey, err error) {
	err = row.Scan(&k.ID, &k.Subject, &k.Master, &k.Wrapped, Micros{&k.Created}, Micros{&k.Erased})
	if len(k.Wrapped) == 0 {
		k.Wrapped = nil
	}
	if err == nil && k.Erased.IsZero() == (k.Wrapped == nil) {
		err = fmt.Errorf("key %q is neither whole nor erased", k.ID)
	}
	return k, err
}
