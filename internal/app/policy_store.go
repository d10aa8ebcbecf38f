package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

// Who puts the document of a file in force, and why, in the words of the store and of the audit.
const (
	policyFileAuthor = "file"
	policyFileReason = "the document of policy.file"
)

// keepLimit bounds what the store is waited for: the file is looked at again after that.
const keepLimit = 5 * time.Second

// owedPolicy is what the store does not have yet of the documents of a file. Only the last one is owed: one that was replaced
// before the store could be reached is lost to the history, but not to the records that name it.
type owedPolicy struct {
	owed *core.PolicyVersion
	// last is the newest version that was in the store when the process started, then the one that it kept.
	last    int64
	begun   bool
	failing bool
}

func (k *owedPolicy) owe(rules *policy.Snapshot, data []byte) {
	k.owed = &core.PolicyVersion{Version: rules.Version(), Text: string(data), Created: time.Now().UTC().Truncate(time.Microsecond)}
}

// keep has the store keep the document that the file put in force. That the store is away changes nothing in what is in
// force; it is tried again after the next look.
func (k *policyKeeper) keep(ctx context.Context, into store.Policies) {
	k.mu.Lock()
	owed, seen := k.keeping.owed, k.keeping.last
	k.mu.Unlock()
	if owed == nil {
		return
	}
	limited, cancel := context.WithTimeout(store.WithReason(store.WithActor(ctx, policyFileAuthor), policyFileReason), keepLimit)
	defer cancel()
	kept, err := into.Put(limited, *owed, seen)
	k.mu.Lock()
	defer k.mu.Unlock()
	f := &k.keeping
	switch {
	case ctx.Err() != nil:
	case err != nil && !f.failing:
		k.log.Error("the policy is in force, and the store does not have it yet", "version", owed.Version, "error", err)
	case err == nil && f.failing:
		k.log.Info("the store has the policy that is in force", "version", owed.Version)
	}
	f.failing = err != nil
	if err != nil {
		return
	}
	f.last = max(f.last, kept.Number)
	if f.owed == owed {
		f.owed, k.status.Number = nil, kept.Number
	}
}

// storedPolicy is what is known of the policy in the store.
type storedPolicy struct {
	seen *core.PolicyVersion // that was looked at last
	err  error               // of a start
}

// load takes what the store holds, where no file is configured. The directory calls it, one call at a time, before anything
// else of the same snapshot is in force.
func (k *policyKeeper) load(s *store.Snapshot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	newest := s.Policy()
	if k.path != "" {
		k.keeping.begin(newest)
		return
	}
	if err := k.take(newest); k.current.Load() == nil {
		k.stored.err = err
	} else if err != nil {
		k.refuse(err)
	}
}

func (k *owedPolicy) begin(newest *core.PolicyVersion) {
	if !k.begun && newest != nil {
		k.last = newest.Number
	}
	k.begun = true
}

// take puts the newest version in force, if it is another one than it was and is good.
func (k *policyKeeper) take(newest *core.PolicyVersion) error {
	was := k.stored.seen
	k.stored.seen = newest
	switch {
	case newest == nil && k.status.Number != 0:
		return errors.New("the store has no policy any more: was it restored from a backup? Put one in force with plumbline policy apply")
	case newest == nil:
		if k.current.Load() == nil {
			k.put(policy.Default(), 0)
		}
		return nil
	case was != nil && *was == *newest:
		return nil
	}
	rules, err := ParseStored(*newest)
	if err != nil {
		return err
	}
	if k.current.Load() != nil { // not at a start
		k.metrics.PolicyRead(true)
		k.log.Info("the policy is in force", "version", rules.Version(), "number", newest.Number, "mode", string(rules.Mode()))
	}
	k.put(rules, newest.Number)
	return nil
}

// started returns why there is no policy to start with.
func (k *policyKeeper) started() error {
	if k.stored.err == nil {
		return nil
	}
	return fmt.Errorf("the newest policy in the store cannot be put in force; put another one there with plumbline policy apply or revert:\n%w", k.stored.err)
}
