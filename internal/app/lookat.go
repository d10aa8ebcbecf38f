package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// lookBatch is how many looks at sealed prompts are recorded at once: each is a change of its own, and a hundred of them one commit.
const lookBatch = 100

// looker opens many sealed samples, one after another. It is what openSample is for one: whoever has the master keys may look,
// and who does and why is in the feed before anything is opened. What it opens is in memory alone.
type looker struct {
	store   store.Store
	masters *seal.MasterKeys
	records read.Reader
}

// seen is a sample that was opened, with the record that holds it.
type seen struct {
	record core.Record
	prompt core.Prompt
}

// each opens the samples of exchanges, in their order, and gives each to use until that says that it has enough. Those that are
// gone are left out: of people who were erased, of days that have ended, and such as were never recorded.
func (l looker) each(ctx context.Context, exchanges []string, use func(exchange string, s seen) (more bool)) error {
	if err := store.CheckReason(store.Reason(ctx)); err != nil {
		return err
	}
	for batch := range slices.Chunk(exchanges, lookBatch) {
		more, err := l.batch(ctx, batch, use)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (l looker) batch(ctx context.Context, exchanges []string, use func(string, seen) bool) (more bool, err error) {
	var there []string
	var held []core.Record
	for _, exchange := range exchanges {
		all, err := RecordsOf(ctx, l.records, exchange)
		if err != nil {
			return false, err
		}
		if sampled := withSample(all); len(sampled) > 0 {
			there, held = append(there, exchange), append(held, sampled[0])
		}
	}
	if len(there) == 0 {
		return true, nil
	}
	keys := l.store.SubjectKeys()
	if err := keys.NoteLook(ctx, there...); err != nil {
		return false, fmt.Errorf("that prompts are looked at cannot be recorded, and so none is: %w", err)
	}
	for i, r := range held {
		sealed := *r.Sealed
		r.Sealed = &core.Sealed{Key: sealed.Key, Sample: sealed.Sample, SampleKey: sealed.SampleKey} // and nothing else of it
		opened, err := reveal(ctx, keys, l.masters, &r)
		if err != nil {
			return false, fmt.Errorf("the %s of exchange %s: %w", r.Kind, there[i], err)
		}
		if opened.Sample != nil && !use(there[i], seen{r, promptOf(opened.Sample)}) {
			return false, nil
		}
	}
	return true, nil
}

// promptOf gives a prompt as it was judged, from what was kept of it.
func promptOf(t *seal.Text) core.Prompt {
	var p core.Prompt
	for _, part := range t.Parts {
		p.Parts = append(p.Parts, core.Part{Role: part.Role, Kind: part.Kind, Text: part.Text})
	}
	return p
}
