// Package embedtest makes embedding tables for tests. It imports embed, and the program must not import it.
package embedtest

import (
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
)

// Turned gives the shipped table with half of its rows turned round, and its file: one of the same pieces of words that judges
// otherwise.
func Turned(t testing.TB) (file []byte, table *embed.Table) {
	t.Helper()
	shipped, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	rows := shipped.Rows()
	for i := range rows.Values[:len(rows.Values)/2] {
		rows.Values[i] = -rows.Values[i]
	}
	if file, err = shipped.With("turned", rows); err == nil {
		table, err = embed.Parse(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file, table
}
