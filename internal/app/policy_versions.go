package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

// ErrPolicyFile refuses to put a policy into the store of a deployment whose policy is a file: it would not come into force.
var ErrPolicyFile = errors.New("policy.file names the document that is in force: change that file, or take the setting out of the configuration and start Plumbline again, which goes on under the same policy from the store")

// ReadPolicy reads and checks a document that is to be put in force.
func ReadPolicy(path string) (*policy.Snapshot, string, error) {
	rules, data, err := loadPolicy(path)
	return rules, string(data), err
}

// PolicyInForce gives the policy that a process under c has in force: that of the file, else the newest in the store, else the
// built-in one.
func PolicyInForce(ctx context.Context, c config.Config, st store.Store) (*policy.Snapshot, error) {
	if c.Policy.File != "" {
		return LoadPolicy(c.Policy.File)
	}
	newest, err := newestPolicy(ctx, st)
	if err != nil {
		return nil, err
	}
	if newest == nil {
		return policy.Default(), nil
	}
	return ParseStored(*newest)
}

// ParseStored compiles a version that the store has.
func ParseStored(p core.PolicyVersion) (*policy.Snapshot, error) {
	return parsePolicy(fmt.Sprintf("policy %d", p.Number), []byte(p.Text))
}

// newestPolicy gives the newest version, nil for none.
func newestPolicy(ctx context.Context, st store.Store) (*core.PolicyVersion, error) {
	list, err := st.Policies().List(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	newest, err := st.Policies().Get(ctx, list[0].Number)
	return &newest, err
}

// IsPolicyID reports whether a text has the form of a policy's number, or of what records call it.
func IsPolicyID(text string) bool {
	if _, isNumber := policyNumber(text); isNumber {
		return true
	}
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == policy.VersionLength
}

func policyNumber(text string) (number int64, ok bool) {
	number, err := strconv.ParseInt(text, 10, 64)
	return number, err == nil && number >= 0 && len(text) < policy.VersionLength
}

// FindPolicy gives a version by its number, or the newest by what records call it.
func FindPolicy(ctx context.Context, st store.Store, id string) (core.PolicyVersion, error) {
	if number, isNumber := policyNumber(id); isNumber {
		return st.Policies().Get(ctx, number)
	}
	list, err := st.Policies().List(ctx)
	if err != nil {
		return core.PolicyVersion{}, err
	}
	for _, p := range list {
		if p.Version == id {
			return st.Policies().Get(ctx, p.Number)
		}
	}
	return core.PolicyVersion{}, store.NoPolicy(id)
}

// ApplyPolicy puts a checked document in force, in the name and for the reason of ctx. Where it is in force already it
// changes nothing, and gives the version that is.
func ApplyPolicy(
	ctx context.Context, c config.Config, st store.Store, rules *policy.Snapshot, text string,
) (kept core.PolicyVersion, changed bool, err error) {
	return putPolicy(ctx, c, st, core.PolicyVersion{Version: rules.Version(), Text: text})
}

// RevertPolicy puts an earlier version in force again, as a new one. It must still be good. See ApplyPolicy.
func RevertPolicy(ctx context.Context, c config.Config, st store.Store, old core.PolicyVersion) (kept core.PolicyVersion, changed bool, err error) {
	rules, err := ParseStored(old)
	if err != nil {
		return kept, false, err
	}
	return putPolicy(ctx, c, st, core.PolicyVersion{Version: rules.Version(), Text: old.Text, Restores: old.Number})
}

func putPolicy(ctx context.Context, c config.Config, st store.Store, p core.PolicyVersion) (kept core.PolicyVersion, changed bool, err error) {
	if c.Policy.File != "" {
		return kept, false, ErrPolicyFile
	}
	if err := store.CheckReason(store.Reason(ctx)); err != nil {
		return kept, false, err
	}
	p.Created = time.Now().UTC().Truncate(time.Microsecond)
	kept, err = st.Policies().Put(ctx, p, math.MaxInt64)
	return kept, kept.Created.Equal(p.Created), err
}
