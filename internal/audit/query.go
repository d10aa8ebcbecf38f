package audit

import (
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// The bounds of a page. See Query.Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// maxText bounds a text that is searched for, in bytes.
const maxText = 256

// ErrText is returned for a text to search for that is too long.
var ErrText = errors.New("audit: the text to search for is longer than 256 bytes: give a part of it")

// Query says which records to find. Empty fields match everything; the others must all match exactly, Text apart.
type Query struct {
	Exchange, User, Team, App, Model string
	// Task is the nearest task and Intent the label, both of the records of decisions: intents and denials.
	Task, Intent string
	Kind         core.RecordKind
	Action       core.Action
	Reason       core.Reason
	// Text is a part of the reason in words, in any case: of the record's Explanation, or of what its reason means
	// (core.Reasons). At most 256 bytes.
	Text string
	// Since and Until bound the record's time: from Since up to, but not including, Until.
	Since, Until time.Time
	// Limit is the most to return: 50 if zero, at most 1,000.
	Limit int
	// After is the cursor that the search before this one gave.
	After string
}

// PageSize is the limit that holds.
func (q *Query) PageSize() int {
	if q.Limit <= 0 {
		return DefaultLimit
	}
	return min(q.Limit, MaxLimit)
}

// Check refuses what no search takes.
func (q *Query) Check() error {
	if len(q.Text) > maxText {
		return ErrText
	}
	return nil
}

// Columns gives the columns beside each record that have to hold a value, with it.
func (q *Query) Columns() iter.Seq2[string, string] {
	return func(yield func(column, value string) bool) {
		for _, f := range q.fields(&columns{}) {
			if f.want != "" && !yield(f.name, text(f.want)) {
				return
			}
		}
	}
}

// field is a filter, and what a record has for it.
type field struct{ name, want, got string }

func (q *Query) fields(c *columns) [8]field {
	return [...]field{
		{"exchange", q.Exchange, c.exchange},
		{"user", q.User, c.user},
		{"team", q.Team, c.team},
		{"app", q.App, c.app},
		{"model", q.Model, c.model},
		{"kind", string(q.Kind), string(c.kind)},
		{"action", string(q.Action), c.action},
		{"reason", string(q.Reason), c.reason},
	}
}

// Matches reports whether a record is one that the query asks for, whatever its place.
func (q *Query) Matches(r *core.Record) bool {
	c := columnsOf(*r)
	return q.matchesColumns(&c) && q.matchesRest(r)
}

func (q *Query) matchesColumns(c *columns) bool {
	for _, f := range q.fields(c) {
		if f.want != "" && text(f.want) != f.got {
			return false
		}
	}
	return (q.Since.IsZero() || c.time >= q.Since.UnixMicro()) && (q.Until.IsZero() || c.time < q.Until.UnixMicro())
}

// hasRest reports whether the query asks for what this log has no columns for.
func (q *Query) hasRest() bool { return q.Task != "" || q.Intent != "" || q.Text != "" }

func (q *Query) matchesRest(r *core.Record) bool {
	if q.Task != "" && (r.Deviation == nil || r.Deviation.Task != text(q.Task)) {
		return false
	}
	if q.Intent != "" && (r.Intent == nil || r.Intent.Label != text(q.Intent)) {
		return false
	}
	return q.Text == "" || q.matchesText(r)
}

func (q *Query) matchesText(r *core.Record) bool {
	if strings.Contains(Explanation(r), q.LowerText()) {
		return true
	}
	for _, reason := range ReasonsSaying(q.LowerText()) {
		if r.Reason == reason {
			return true
		}
	}
	return false
}

// LowerText is Text as it is compared.
func (q *Query) LowerText() string {
	return strings.ReplaceAll(strings.ToLower(text(q.Text)), "\x00", "\uFFFD")
}
