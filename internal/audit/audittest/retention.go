package audittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
)

// Retainer is a store of which months can be dropped.
type Retainer interface {
	// Past must give the months of a class that ended before a time and are not dropped, the oldest first.
	Past(ctx context.Context, class string, before time.Time) ([]audit.Month, error)
	// Declaration must be the record that declares the drop of a month as it is.
	Declaration(ctx context.Context, m audit.Month, actor string, now time.Time) (core.Record, error)
	// Retire must drop a month that ended before a time and more than 35 days ago, and give how much was dropped: 0 when it is
	// gone. It must drop nothing, and fail with audit.ErrUndeclared, unless the store has the month's declaration and a
	// checkpoint fixes it.
	Retire(ctx context.Context, m audit.Month, before time.Time) (int64, error)
}

// Retained is an empty store, at a time when May 2026 is long past.
type Retained struct {
	Retainer
	Now    time.Time
	Reader read.Reader
	// Record has records be there, and Fix has checkpoints fix all that there are.
	Record func(all ...core.Record) error
	Fix    func() error
	// Verify holds the store against its checkpoints and those of the second place, which fix so many of its records.
	Verify func() (Kept, error)
}

// Kept is what is there of a store's records.
type Kept struct{ Records, Dropped, Fixed int64 }

// RunRetention runs the suite of retention on stores of fresh.
func RunRetention(t *testing.T, fresh func(testing.TB) *Retained) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Retained)
	}{
		{"a month goes as declared", monthsGo},
		{"what was declared otherwise stays", othersStay},
		{"recent months stay", recentStay},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, fresh(t)) })
	}
}

// inMonth is a time in 2026.
func inMonth(month time.Month, second int) time.Time {
	return time.Date(2026, month, 10, 12, 0, second, 0, time.UTC)
}

// exchanged are the two records of an exchange in a month.
func exchanged(month time.Month, i int) []core.Record {
	in := varied(5 * i)
	in.Time, in.Exchange = inMonth(month, i), exchangeID(int(month)*1000+i)
	in.Reserved.Admitted = in.Time
	out := core.Record{
		Kind: core.RecordOutcome, Time: in.Time.Add(time.Second), Exchange: in.Exchange, Principal: in.Principal, Endpoint: in.Endpoint,
		Model: in.Model, Reason: core.ReasonNone, Settled: &core.Charge{Admitted: in.Time, Requests: 1, InputTokens: 7, OutputTokens: int64(i), Cost: 5},
	}
	return []core.Record{in, out}
}

func changed(month time.Month) core.Record {
	return core.Record{
		Kind: core.RecordAdmin, Time: inMonth(month, 0), Exchange: fmt.Sprintf("change-%d", month), Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"},
	}
}

// begins is when a month of 2026 begins.
func begins(month time.Month) time.Time { return time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC) }

func names(months []audit.Month) (all []string) {
	for _, m := range months {
		all = append(all, m.Class+" "+m.Name())
	}
	return all
}

// past checks what Past gives.
func (s *Retained) past(t *testing.T, class string, before time.Time, want ...string) {
	t.Helper()
	months, err := s.Past(t.Context(), class, before)
	if err != nil || !slices.Equal(names(months), want) {
		t.Errorf("%s before %s: %v, %v, want %v", class, before, names(months), err, want)
	}
}

// drop drops a month after it was declared in another, and checks each refusal before.
func (s *Retained) drop(t *testing.T, class string, month, declared time.Month) (gone int64) {
	t.Helper()
	m, before := audit.Month{Class: class, Begin: begins(month)}, begins(month+1)
	undeclared := func(when string) {
		t.Helper()
		if n, err := s.Retire(t.Context(), m, before); !errors.Is(err, audit.ErrUndeclared) || n != 0 {
			t.Fatalf("%s of %s, %s: %d, %v", class, month, when, n, err)
		}
	}
	undeclared("not declared")
	declaration, err := s.Declaration(t.Context(), m, "system", inMonth(declared, 30))
	must(t, err)
	must(t, s.Record(declaration))
	if class != audit.ClassRollups {
		undeclared("not fixed by a checkpoint")
	}
	must(t, s.Fix())
	if n, err := s.Retire(t.Context(), m, before.Add(-time.Microsecond)); err == nil || !strings.Contains(err.Error(), "are to be kept") {
		t.Errorf("%s of %s, of which not all is older: %d, %v", class, month, n, err)
	}
	gone, err = s.Retire(t.Context(), m, before)
	must(t, err)
	if n, err := s.Retire(t.Context(), m, before); err != nil && class != audit.ClassRollups || n != 0 {
		t.Errorf("%s of %s again: %d, %v", class, month, n, err)
	}
	s.past(t, class, before)
	return gone
}

func (s *Retained) holds(t *testing.T, want Kept) {
	t.Helper()
	if got, err := s.Verify(); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// march are the sums of a month, by all that they are told apart by.
func (s *Retained) march(t *testing.T) []read.Row {
	t.Helper()
	rows, err := s.Reader.Sum(t.Context(), read.SumQuery{
		Since: begins(time.March), Until: begins(time.April),
		By: []read.Dimension{read.ByHour, read.ByUser, read.ByTeam, read.ByApp, read.ByModel, read.ByIntent, read.ByVerdict},
	})
	must(t, err)
	return rows
}

func monthsGo(t *testing.T, s *Retained) {
	for i := range 20 {
		must(t, s.Record(exchanged(time.March, i)...))
	}
	must(t, s.Record(changed(time.March)))
	must(t, s.Record(exchanged(time.April, 1)...))
	must(t, s.Fix())
	s.holds(t, Kept{Records: 43, Fixed: 43})
	sums := s.march(t)
	if len(sums) == 0 {
		t.Fatal("there are no sums")
	}
	for _, class := range []string{audit.ClassExchange, audit.ClassAdmin} {
		s.past(t, class, begins(time.April).Add(-time.Microsecond))
		s.past(t, class, begins(time.April), class+" 2026_03")
	}
	if n := s.drop(t, audit.ClassExchange, time.March, time.April); n != 40 {
		t.Errorf("%d records were dropped", n)
	}
	s.holds(t, Kept{Records: 4, Dropped: 40, Fixed: 44})
	if diff := cmp.Diff(sums, s.march(t)); diff != "" {
		t.Errorf("the sums of what was dropped (-before +after):\n%s", diff)
	}
	q := audit.Query{Since: begins(time.March), Until: begins(time.April)}
	if found := pages(t, s.Reader, q, nil); len(found) != 1 || found[0].Record.Exchange != "change-3" || len(walk(t, s.Reader, q)) != 1 {
		t.Errorf("%d records of March are found", len(found))
	}
	if found := pages(t, s.Reader, audit.Query{Exchange: exchangeID(3001)}, nil); len(found) != 0 {
		t.Errorf("an exchange is found: %d", len(found))
	}
	if n := s.drop(t, audit.ClassAdmin, time.March, time.April); n != 1 {
		t.Errorf("%d changes were dropped", n)
	}
	if n := s.drop(t, audit.ClassAdmin, time.April, time.May); n != 2 { // the declarations of both
		t.Errorf("%d declarations were dropped", n)
	}
	s.holds(t, Kept{Records: 3, Dropped: 43, Fixed: 46})
	s.past(t, audit.ClassRollups, begins(time.April).Add(-time.Microsecond))
	s.past(t, audit.ClassRollups, begins(time.April), "rollups 2026_03")
	if n := s.drop(t, audit.ClassRollups, time.March, time.May); n < 1 {
		t.Errorf("%d sums were dropped", n)
	}
	if rows := s.march(t); len(rows) != 0 {
		t.Errorf("sums that were dropped: %+v", rows)
	}
	s.holds(t, Kept{Records: 4, Dropped: 43, Fixed: 47})
}

// othersStay: a month of which more was recorded since it was declared is declared anew.
func othersStay(t *testing.T, s *Retained) {
	must(t, s.Record(exchanged(time.March, 1)...))
	must(t, s.Fix())
	m := audit.Month{Class: audit.ClassExchange, Begin: begins(time.March)}
	declaration, err := s.Declaration(t.Context(), m, "system", inMonth(time.April, 0))
	must(t, err)
	must(t, s.Record(declaration))
	must(t, s.Record(exchanged(time.March, 2)...)) // of a clock that was wrong
	must(t, s.Fix())
	if n, err := s.Retire(t.Context(), m, begins(time.April)); !errors.Is(err, audit.ErrUndeclared) || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	s.holds(t, Kept{Records: 5, Fixed: 5})
	declaration, err = s.Declaration(t.Context(), m, "system", inMonth(time.April, 1))
	must(t, err)
	must(t, s.Record(declaration))
	must(t, s.Fix())
	if n, err := s.Retire(t.Context(), m, begins(time.April)); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	s.holds(t, Kept{Records: 2, Dropped: 4, Fixed: 6})
}

// recentStay: whoever asks, with whatever bound.
func recentStay(t *testing.T, s *Retained) {
	for _, class := range []string{audit.ClassExchange, audit.ClassAdmin, audit.ClassRollups} {
		recent := audit.Month{Class: class, Begin: s.Now.AddDate(0, 0, -34)}
		if _, err := s.Retire(t.Context(), recent, s.Now.AddDate(10, 0, 0)); err == nil || !strings.Contains(err.Error(), "are to be kept") {
			t.Errorf("%s of %s: %v", class, recent.Name(), err)
		}
	}
}
