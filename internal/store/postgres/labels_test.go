package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestFloodOfAnswered: who answers for their labels themselves gives as many a day as a person can, and no more.
func TestFloodOfAnswered(t *testing.T) {
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	migrate(t, postgres.Schema, db.URL)
	st := open(t, db.URL)
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	sample := core.Sample{Exchange: "x", Drawn: at, Task: "billing", Text: "t", Model: "m", Place: 1}
	if err := st.Labels().Draw(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, fmt.Sprintf(`INSERT INTO plumbline.labels SELECT 'y' || i, %[2]d, 'billing', 't', 'm', 0.5, i, 'eve', true, %[2]d, 'eve', '', ''
		FROM generate_series(1, %[1]d) i`, store.MostAnswered, store.Micros(at)))
	label := core.Label{Sample: sample, By: "eve", Approved: "eve", OnTask: true, At: at}
	if err := st.Labels().Put(t.Context(), label); !errors.Is(err, store.ErrTooMany) || !strings.Contains(err.Error(), "at most 5000 labels") {
		t.Errorf("one too many: %v", err)
	}
	label.At = at.Add(24 * time.Hour)
	if err := st.Labels().Put(t.Context(), label); err != nil {
		t.Errorf("on the next day: %v", err)
	}
}
