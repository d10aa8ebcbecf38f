package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// Revealed is what the records of one step of an exchange hold sealed.
type Revealed struct {
	Kind core.RecordKind `json:"kind"`
	Time time.Time       `json:"time"`
	Who  core.Principal  `json:"principal"`
	seal.Opened
	// Erased is when the key was destroyed: nothing can be read any more. SampleEnded is the same for the sample alone.
	Erased      time.Time     `json:"erased,omitzero"`
	SampleEnded time.Time     `json:"sample_ended,omitzero"`
	Withheld    core.Withheld `json:"withheld,omitempty"`
	PromptHash  []byte        `json:"prompt_hash,omitempty"`
	AnswerHash  []byte        `json:"answer_hash,omitempty"`
}

// ErrNothingSealed says that records hold nothing that could be shown.
var ErrNothingSealed = errors.New("its records hold nothing sealed: see audit.content and audit.master_key_file")

// ErrUnreadable says that something sealed can be opened neither now nor later: it was changed, or what it is sealed under is
// missing. It says nothing of other records.
var ErrUnreadable = errors.New("cannot be read")

// Reveal opens what the records of an exchange hold sealed. That somebody looks, who, and why, is in the feed of changes,
// and so on its way into the audit, before anything is opened. The actor and the reason are those of ctx.
func Reveal(ctx context.Context, st store.Store, masters *seal.MasterKeys, exchange string, records []core.Record) ([]Revealed, error) {
	var held []core.Record
	for _, r := range records {
		if r.Sealed != nil {
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		return nil, ErrNothingSealed
	}
	if err := store.CheckReason(store.Reason(ctx)); err != nil {
		return nil, err
	}
	keys := st.SubjectKeys()
	if err := keys.NoteLook(ctx, exchange); err != nil {
		return nil, fmt.Errorf("that you look cannot be recorded, and so nothing is shown: %w", err)
	}
	all := make([]Revealed, len(held))
	for i := range held {
		var err error
		if all[i], err = reveal(ctx, keys, masters, &held[i]); err != nil {
			return nil, fmt.Errorf("the %s of exchange %s: %w", held[i].Kind, exchange, err)
		}
	}
	return all, nil
}

func reveal(ctx context.Context, keys store.SubjectKeys, masters *seal.MasterKeys, r *core.Record) (Revealed, error) {
	out := Revealed{
		Kind: r.Kind, Time: r.Time, Who: r.Principal, Withheld: r.Sealed.Withheld,
		PromptHash: r.Sealed.PromptHash, AnswerHash: r.Sealed.AnswerHash,
	}
	key, erased, err := usable(ctx, keys, masters, r.Sealed.Key)
	if err != nil || key == nil {
		out.Erased = erased
		return out, err
	}
	day, ended, err := usable(ctx, keys, masters, r.Sealed.SampleKey)
	if err != nil {
		return out, err
	}
	out.SampleEnded = ended
	if out.Opened, err = seal.Open(r, key, day); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return out, err
}

// usable gives a key, or when it was erased. Both are zero for no id. A key that is missing or does not open is ErrUnreadable; a
// store that does not answer is not.
func usable(ctx context.Context, keys store.SubjectKeys, masters *seal.MasterKeys, id string) (*seal.Key, time.Time, error) {
	if id == "" {
		return nil, time.Time{}, nil
	}
	kept, err := keys.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	case err != nil || !kept.Erased.IsZero():
		return nil, kept.Erased, err
	}
	key, err := masters.Unwrap(kept)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return key, time.Time{}, err
}

// Erase destroys the key of a user or an app. What comes from them later is sealed under a new one.
func Erase(ctx context.Context, st store.Store, subject string) error {
	if err := store.CheckReason(store.Reason(ctx)); err != nil {
		return err
	}
	return st.SubjectKeys().Erase(ctx, subject)
}

// Rewrap wraps every key that another master key wraps by the current one, and says how many those were. Replicas go on
// meanwhile. It may be called again after it failed.
func Rewrap(ctx context.Context, st store.Store, masters *seal.MasterKeys) (n int, err error) {
	err = eachSubjectKey(ctx, st, func(was core.SubjectKey) error {
		if !was.Erased.IsZero() {
			return nil
		}
		now, other, err := masters.Rewrap(was)
		if err != nil || !other {
			return err
		}
		done, err := st.SubjectKeys().Rewrap(ctx, was, now)
		if done {
			n++
		}
		return err
	})
	return n, err
}

// WrappedBy counts the keys that are not erased by the master key that wraps them.
func WrappedBy(ctx context.Context, st store.Store) (map[string]int, error) {
	n := map[string]int{}
	return n, eachSubjectKey(ctx, st, func(k core.SubjectKey) error {
		if k.Erased.IsZero() {
			n[k.Master]++
		}
		return nil
	})
}

// ErasedPeople gives the users of whom a key was erased.
func ErasedPeople(ctx context.Context, st store.Store) (map[string]bool, error) {
	erased := map[string]bool{}
	return erased, eachSubjectKey(ctx, st, func(k core.SubjectKey) error {
		if user, ok := strings.CutPrefix(k.Subject, "user/"); ok && !k.Erased.IsZero() {
			erased[user] = true
		}
		return nil
	})
}

func eachSubjectKey(ctx context.Context, st store.Store, do func(core.SubjectKey) error) error {
	page := store.Page{Limit: 1000}
	for {
		keys, err := st.SubjectKeys().List(ctx, page)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := do(k); err != nil {
				return err
			}
			page.After = k.ID
		}
		if len(keys) < page.Size() {
			return nil
		}
	}
}
