package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Classes by which the audit is kept. Each month of a class goes as a whole.
const (
	ClassExchange = "exchange" // of calls
	ClassAdmin    = "admin"    // of changes
	ClassRollups  = "rollups"  // sums
)

// ErrUndeclared is what a store returns as long as its audit has no record that declares what is to be dropped, as it is
// now, or no checkpoint fixes that record: it is to be tried again a little later.
var ErrUndeclared = errors.New("the audit does not have the record yet that declares what is to be dropped, or no checkpoint fixes it yet")

// Month is what the audit has of a class in one month.
type Month struct {
	Class string
	Begin time.Time
}

const monthLayout = "2006_01"

// ParseMonth gives the month of a class by its name. ok is false for what is no month's name.
func ParseMonth(class, name string) (m Month, ok bool) {
	begin, err := time.Parse(monthLayout, name)
	return Month{class, begin}, err == nil
}

// Name is the month as declarations call it, such as 2026_03.
func (m Month) Name() string { return m.Begin.Format(monthLayout) }

// Span is from when the month begins up to, but not including, when it ends, in UTC.
func (m Month) Span() (begin, end time.Time) {
	begin = time.Date(m.Begin.Year(), m.Begin.Month(), 1, 0, 0, 0, 0, time.UTC)
	return begin, begin.AddDate(0, 1, 0)
}

// sumsExchange begins the id of the record that declares that a month's sums go.
const sumsExchange = "retention/rollups/"

// SumsDeclaration is the record by which the audit says, before it is done, that a month's sums go.
func (m Month) SumsDeclaration(actor string, now time.Time) core.Record {
	return core.Record{
		Kind: core.RecordAdmin, Time: now, Exchange: sumsExchange + m.Name() + "/all",
		Admin: &core.Change{Actor: actor, Action: "drop", Object: "rollups/" + m.Name()},
	}
}

// DeclaredSums gives the name of the month whose sums a record declares to go, as SumsDeclaration does.
func DeclaredSums(rec *core.Record) (month string, ok bool) {
	if rec.Kind != core.RecordAdmin || rec.Admin == nil || rec.Admin.Action != "drop" || !strings.HasPrefix(rec.Exchange, sumsExchange) {
		return "", false
	}
	return strings.CutPrefix(rec.Admin.Object, ClassRollups+"/")
}

// NotOfMonth is the problem of an entry that stands in a month and class and is not of it.
func NotOfMonth(m Month) string {
	return fmt.Sprintf("it stands in month %s of class %s and is not of it, or was changed: the month is not dropped", m.Name(), m.Class)
}
