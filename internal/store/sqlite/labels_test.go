package sqlite_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// TestFloodOfAnswered: who answers for their labels themselves gives as many a day as a person can, and no more.
func TestFloodOfAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plumbline.db")
	st := open(t, path)
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	sample := core.Sample{Exchange: "x", Drawn: at, Task: "billing", Text: "t", Model: "m", Place: 1}
	if err := st.Labels().Draw(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	const many = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO labels SELECT 'y' || i, ?, 'billing', 't', 'm', 0.5, i, 'eve', 1, ?, 'eve', '', '' FROM n`
	if _, err := openFile(t, path).ExecContext(t.Context(), many, store.MostAnswered, store.Micros(at), store.Micros(at)); err != nil {
		t.Fatal(err)
	}
	label := core.Label{Sample: sample, By: "eve", Approved: "eve", OnTask: true, At: at}
	if err := st.Labels().Put(t.Context(), label); !errors.Is(err, store.ErrTooMany) || !strings.Contains(err.Error(), "at most 5000 labels") || strings.Contains(err.Error(), "admins") {
		t.Errorf("one too many: %v", err)
	}
	label.By, label.Approved = "eva", "eva"
	if err := st.Labels().Put(t.Context(), label); err != nil {
		t.Errorf("of another account: %v", err)
	}
	label.By, label.Approved, label.At = "eve", "eve", at.Add(24*time.Hour)
	if err := st.Labels().Put(t.Context(), label); err != nil {
		t.Errorf("on the next day: %v", err)
	}
}
