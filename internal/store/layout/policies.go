package layout

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// PolicyColumns are those of a version of the policy, in the order in which they are read and written; ListedPolicyColumns
// are the same with an empty text.
const (
	PolicyColumns       = "number, version, text, author, reason, created, restores"
	ListedPolicyColumns = "number, version, '' AS text, author, reason, created, restores"
)

// PolicyValues are the columns of a version but for its number.
func PolicyValues(p core.PolicyVersion) []any {
	return []any{p.Version, p.Text, p.Author, p.Reason, store.Micros(p.Created), p.Restores}
}

// ScanPolicy reads a version.
func ScanPolicy(row Scanner) (p core.PolicyVersion, err error) {
	err = row.Scan(&p.Number, &p.Version, &p.Text, &p.Author, &p.Reason, Micros{&p.Created}, &p.Restores)
	return p, err
}
