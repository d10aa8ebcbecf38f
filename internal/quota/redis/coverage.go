package redis

import (
	"cmp"
	"context"

	"github.com/plumbline/plumbline/internal/quota"
)

// Beside the mark of a book stands a text of its owner's: which limits its records are in the counters of.

// Coverage gives the text; false if the epoch has none.
func (l *Ledger) Coverage(ctx context.Context) (string, bool, error) {
	return l.markOf(ctx, l.coverageName())
}

// PostCovering adds postings, at most MaxPostings, and puts one text in the place of another: both or neither. It returns
// ErrMark if the text is another one; where there is none yet it is empty.
func (l *Ledger) PostCovering(ctx context.Context, from, to string, postings ...quota.Posting) error {
	return l.post(ctx, l.coverageName(), cmp.Or(from, noMark), to, postings)
}

// coverageSuffix makes a name that is no book's: those have no slash.
const coverageSuffix = "/limits"

func (l *Ledger) coverageName() string { return l.book + coverageSuffix }

// noMark is what post.lua takes a mark for that is missing.
const noMark = "0"

// markOf reads a mark of any name.
func (l *Ledger) markOf(ctx context.Context, name string) (string, bool, error) {
	n := l.within.Load()
	a, err := l.run(ctx, &l.scripts.mark, l.keys(n, nil, n.marks), n.epoch.ID, l.clock.argument(), name)
	if err != nil {
		return "", false, err
	}
	text := a.text()
	return text, text != "" && !a.short, a.err()
}
