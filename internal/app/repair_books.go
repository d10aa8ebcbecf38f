package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
)

// bookRecords are what a comparison needs of one replica's records, wherever they are kept. See audit.Reader.
type bookRecords interface {
	Charges(ctx context.Context, q audit.ChargesQuery, fn func(audit.Charged) error) error
	FellBack(ctx context.Context, after int64) (map[string]struct{}, error)
	Search(ctx context.Context, q audit.Query) ([]audit.Entry, string, error)
	Close() error
}

var _ bookRecords = (*audit.Reader)(nil)

// books are the records of some replicas.
type books struct {
	list []openBook
	// lowest are the positions up to which it does not matter who was admitted without the ledger; nil for the end.
	lowest map[string]int64
}

type openBook struct {
	name, path string
	records    bookRecords
}

var _ drift.Records = (*books)(nil)

// openBooks opens the audits of data directories, to read. The first need not have one.
func openBooks(ctx context.Context, directories []string) (*books, error) {
	b := &books{}
	names := map[string]string{}
	for i, dir := range directories {
		path := AuditPath(dir)
		r, err := audit.OpenReader(ctx, path)
		if i == 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), b.Close())
		}
		name, err := r.Name(ctx)
		if err == nil && names[name] != "" {
			err = fmt.Errorf("%s and %s are the records of one replica", names[name], path)
		}
		if err != nil {
			return nil, errors.Join(err, r.Close(), b.Close())
		}
		names[name] = path
		b.list = append(b.list, openBook{name, path, r})
	}
	return b, nil
}

func (b *books) Close() error {
	var errs []error
	for _, book := range b.list {
		errs = append(errs, book.records.Close())
	}
	return errors.Join(errs...)
}

// first is the name of the only book, empty for none.
func (b *books) first() string {
	if len(b.list) == 0 {
		return ""
	}
	return b.list[0].name
}

// Charges implements drift.Records.
func (b *books) Charges(ctx context.Context, since time.Time, after drift.Marks, fn func(*drift.Charge) error) error {
	for _, book := range b.list {
		lowest := int64(math.MaxInt64)
		if mark, ok := b.lowest[book.name]; ok {
			lowest = mark
		}
		if err := book.charges(ctx, audit.ChargesQuery{Since: since, After: after[book.name]}, lowest, fn); err != nil {
			return err
		}
	}
	return nil
}

// charges gives those of one book. Of the few that are recorded after lowest it is found out whether the ledger was asked.
func (o openBook) charges(ctx context.Context, q audit.ChargesQuery, lowest int64, fn func(*drift.Charge) error) error {
	var late []drift.Charge
	err := o.records.Charges(ctx, q, func(c audit.Charged) error {
		charge := drift.Charge{
			Exchange: drift.Exchange{Book: o.name, ID: c.Exchange}, Position: c.Position, Subject: subjectOf(c), Charge: c.Charge,
		}
		if c.Position > lowest {
			late = append(late, charge)
			return nil
		}
		return fn(&charge)
	})
	if err != nil || len(late) == 0 {
		return err
	}
	fell, err := o.records.FellBack(ctx, lowest)
	if err != nil {
		return err
	}
	for i := range late {
		_, late[i].Fallback = fell[late[i].ID]
		if err := fn(&late[i]); err != nil {
			return err
		}
	}
	return nil
}

// Reserved implements drift.Records.
func (b *books) Reserved(ctx context.Context, e drift.Exchange) (drift.Charge, bool, error) {
	for _, book := range b.list {
		if book.name != e.Book {
			continue
		}
		found, _, err := book.records.Search(ctx, audit.Query{Exchange: e.ID, Kind: core.RecordIntent})
		if err != nil || len(found) == 0 || found[0].Record.Reserved == nil {
			return drift.Charge{}, false, err
		}
		rec := &found[0].Record
		return drift.Charge{
			Exchange: e, Position: int64(found[0].Position), Charge: *rec.Reserved, Fallback: rec.Fallback != "",
			Subject: quota.Subject{User: rec.Principal.User, Team: rec.Principal.Team, App: rec.Principal.App, Model: rec.Model},
		}, true, nil
	}
	return drift.Charge{}, false, nil
}
