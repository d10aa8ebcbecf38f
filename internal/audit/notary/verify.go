package notary

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
)

// Records are what is verified: a log, or a store of the records of many.
type Records interface {
	// Checkpoints must call fn for each checkpoint that is kept beside the records.
	Checkpoints(ctx context.Context, fn func(audit.Checkpoint) error) error
	// Leaves must check each record by itself and visit it. See audit.Visit.
	Leaves(ctx context.Context, visit audit.Visit) (audit.Walked, error)
}

// Evidence is what records are held against.
type Evidence struct {
	// Keys are those whose signatures are believed. Nil: there are none, and checkpoints prove nothing.
	Keys *chain.Keys
	// Outside are the checkpoints of the second place. Nil: it is not at hand.
	Outside []chain.Checkpoint
}

// Report says what was verified, and what was not.
type Report struct {
	audit.Verified
	// Checkpoints is how many of the store were checked, and Fixed how many records they and those of the second place fix.
	Checkpoints int    `json:"checkpoints"`
	Fixed       uint64 `json:"fixed"`
	// Unknown is how many writers have no checkpoint: those that began seconds ago, or from before there were checkpoints, and
	// any that somebody made up.
	Unknown int `json:"unknown_writers,omitempty"`
	// Outside is how many checkpoints of the second place were checked, FixedOutside how many records those fix, and
	// LastOutside when the last of them was signed.
	Outside      int       `json:"outside"`
	FixedOutside uint64    `json:"fixed_outside"`
	LastOutside  time.Time `json:"last_outside,omitzero"`
	DeadLetters  int64     `json:"dead_letters,omitempty"`
	// Dropped is how many records are there as hashes alone, since their month was dropped.
	Dropped int64 `json:"dropped,omitempty"`
	// Sums is how many sums were held against a recount of the records.
	Sums int64 `json:"sums,omitempty"`
	// Released is how many records are not here because another store has them.
	Released uint64 `json:"released,omitempty"`
}

// Verify holds records against evidence. What is wrong with the first bad one is an *audit.BadEntryError, or a
// *chain.MismatchError where it lies between two checkpoints. What is wrong with what follows from the records comes last: see
// audit.Walked.
//
// It finds whatever was done to a record that a checkpoint fixes, by anybody without the signing key. It cannot find what was
// never recorded; nor what was done to records after the last checkpoint, if their hashes were made anew; nor, without the
// checkpoints of the second place, that the end of a writer was cut off together with its checkpoints.
func Verify(ctx context.Context, records Records, e Evidence) (Report, error) {
	if e.Keys == nil {
		e.Outside = nil
	}
	stored, err := readStored(ctx, records, e.Keys)
	if err != nil {
		return Report{}, err
	}
	v, err := chain.NewVerifier(slices.Concat(stored, e.Outside))
	if err != nil {
		return Report{}, err
	}
	walked, err := records.Leaves(ctx, v.Add)
	report := Report{Verified: walked.Verified, Checkpoints: len(stored), Outside: len(e.Outside), DeadLetters: walked.DeadLetters}
	if err != nil {
		return report, err
	}
	if report.Released, err = forget(v, walked.Released, e.Outside); err != nil {
		return report, err
	}
	coverage, err := v.End()
	if err != nil {
		return report, err
	}
	report.Fixed = coverage.Fixed
	if e.Keys != nil {
		report.Unknown = coverage.Unfixed
	}
	if err := checkDrops(walked.Dropped, v, e.Keys != nil); err != nil {
		return report, err
	}
	for _, d := range walked.Dropped {
		report.Dropped += d.Records
	}
	report.FixedOutside, report.LastOutside = reach(e.Outside)
	if err := checkOutside(stored, e.Outside); err != nil {
		return report, err
	}
	report.Sums = walked.Sums
	return report, walked.Derived
}

// readStored reads the checkpoints that are kept beside the records, without their notes.
func readStored(ctx context.Context, records Records, keys *chain.Keys) (all []chain.Checkpoint, err error) {
	if keys == nil {
		return nil, nil
	}
	err = records.Checkpoints(ctx, func(kept audit.Checkpoint) error {
		c, err := keys.Parse(kept.Note)
		if err != nil {
			return &chain.MismatchError{Writer: kept.Writer, Problem: fmt.Sprintf("its checkpoint of %d records cannot be believed: %s", kept.Size, strings.TrimPrefix(err.Error(), "audit: "))}
		}
		if c.Writer != kept.Writer || c.Size != kept.Size {
			return &chain.MismatchError{Writer: kept.Writer, Problem: fmt.Sprintf("in the place of its checkpoint of %d records stands another", kept.Size)}
		}
		c.Note = nil
		all = append(all, c)
		return nil
	})
	return all, err
}

// forget leaves out writers whose records another store has. What the second place says of them cannot be checked here.
func forget(v *chain.Verifier, released map[string]uint64, outside []chain.Checkpoint) (all uint64, err error) {
	for _, writer := range slices.Sorted(maps.Keys(released)) {
		if slices.ContainsFunc(outside, func(c chain.Checkpoint) bool { return c.Writer == writer }) {
			return 0, &chain.MismatchError{
				Writer: writer, From: 1, To: released[writer],
				Problem: "they are not here: they are said to have been shipped to Postgres; verify them there, with postgres.url",
			}
		}
		all += released[writer]
		v.Forget(writer)
	}
	return all, nil
}

// checkDrops returns the first month that was dropped without a record that says so, which a checkpoint fixes.
func checkDrops(dropped []audit.Dropped, v *chain.Verifier, signed bool) error {
	for _, d := range dropped {
		declared := slices.ContainsFunc(d.Declared, func(p audit.Place) bool { return !signed || v.Fixed(p.Writer) >= p.Seq })
		switch {
		case declared:
		case len(d.Declared) > 0:
			p := d.Declared[0]
			return &audit.BadEntryError{Writer: p.Writer, Seq: p.Seq, Problem: fmt.Sprintf("it says that month %s of class %s was dropped, and no checkpoint fixes it yet: verify again in a minute", d.Month, d.Class)}
		default:
			return fmt.Errorf("%w: month %s of class %s, %d records", ErrDropped, d.Month, d.Class, d.Records)
		}
	}
	return nil
}

// ErrDropped is wrapped by the error that names a month of which hashes alone are left although no record says that it was
// to be dropped, or says it of other records.
var ErrDropped = errors.New("audit: records were taken out without a record that declares it")

// reach gives how many records checkpoints fix, and when the last was signed.
func reach(checkpoints []chain.Checkpoint) (fixed uint64, last time.Time) {
	largest := map[string]uint64{}
	for _, c := range checkpoints {
		largest[c.Writer] = max(largest[c.Writer], c.Size)
		if c.Time.After(last) {
			last = c.Time
		}
	}
	for _, n := range largest {
		fixed += n
	}
	return fixed, last
}

// checkOutside returns the first checkpoint of the second place that the store lacks. That its root is the same was checked.
func checkOutside(stored, outside []chain.Checkpoint) error {
	type key struct {
		writer string
		size   uint64
	}
	known := make(map[key]struct{}, len(stored))
	for _, c := range stored {
		known[key{c.Writer, c.Size}] = struct{}{}
	}
	for _, c := range outside {
		if _, ok := known[key{c.Writer, c.Size}]; !ok {
			return &chain.MismatchError{Writer: c.Writer, Problem: fmt.Sprintf("its checkpoint of %d records was published, and is missing in the store: somebody took it out", c.Size)}
		}
	}
	return nil
}
