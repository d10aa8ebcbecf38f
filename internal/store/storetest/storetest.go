// Package storetest is the conformance suite of store.Store: every implementation must pass Run.
//
// It must not know any implementation.
package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/store"
)

// Database makes an empty database and gives a function that opens it, as one process after another would: each store
// sees what the others wrote. The suite closes none of them.
type Database func(t testing.TB) (open func() store.Store)

// Run runs the suite on databases of db. The flag -rapid.checks sets the number of random sequences.
func Run(t *testing.T, db Database) {
	RunExamples(t, db)
	t.Run("as the model in random sequences", func(t *testing.T) { sequences(t, db) })
	t.Run("objects as the model in random sequences", func(t *testing.T) { ownershipSequences(t, db) })
}

// RunExamples runs the suite but for its random sequences, for another way to a database that has passed Run.
func RunExamples(t *testing.T, db Database) {
	tests := []struct {
		name string
		test func(*testing.T, func() store.Store)
	}{
		{"what is put comes back", roundTrip},
		{"lists in bytewise order, by pages", pages},
		{"replacing keeps the creation", replacing},
		{"what is not valid is refused", invalid},
		{"what does not exist is named", dangling},
		{"what is needed is not deleted", needed},
		{"hashes of keys are unique", uniqueHashes},
		{"apply takes references in any order", applyAll},
		{"apply is all or nothing", applyNothing},
		{"apply refuses an id twice", applyTwice},
		{"provisioning creates and changes nothing", provisioning},
		{"the feed tells every change", feed},
		{"what changes nothing is no change", nothingChanges},
		{"each change is claimed by one audit", claiming},
		{"of many who claim at once one gets each change", claimedByOne},
		{"expired revocations go", expiry},
		{"issued tokens are kept until they expired", issuedTokens},
		{"versions grow while many write", versionsGrow},
		{"load is of one moment", loadIsOfOneMoment},
		{"tasks are of one moment", tasksAreOfOneMoment},
		{"an ended context changes nothing", endedContext},
		{"objects at the provider have owners", ownership},
		{"objects never change hands", neverChangesHands},
		{"of many claims at once one holds", claimedAtOnce},
		{"owners find all that is theirs", ownedBy},
		{"tokens of turns are counted", counting},
		{"of additions at once none is lost", addedAtOnce},
		{"what is kept of objects is bounded", sweeping},
		{"nobody inherits objects", heirs},
		{"keys of subjects", subjectKeys},
		{"of many at once all have one key", subjectKeysAtOnce},
		{"an erased key is gone and known to have been", erasing},
		{"samples end with their day", samplesEnd},
		{"keys are wrapped anew", rewrapping},
		{"samples wait in a queue", queueing},
		{"what a judge proposes goes with its sample", proposing},
		{"samples and labels that are not valid are refused", invalidSamples},
		{"people label samples", labelling},
		{"of a flood of labels few are kept", flooding},
		{"what is learnt from is labelled by nobody", learning},
		{"lessons that are not valid are refused", invalidLessons},
		{"calibrations are versions", calibrationVersions},
		{"the choice of a model is in the feed", choosingModels},
		{"policies are versions", versionsOfPolicies},
		{"of many at once one keeps a policy", policyOnce},
		{"the last policies are kept", fewPolicies},
		{"policies that are not valid are refused", invalidPolicies},
		{"system prompts belong to an app", systemPrompts},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, db(t)) })
	}
}

// roundTrip: every field of every kind, with text that breaks what is careless about quoting, and gone after a delete.
func roundTrip(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	want := objects()
	must(t, st.Apply(t.Context(), want))
	got, _, err := other.Load(t.Context())
	must(t, err)
	equal(t, "everything", want, got)

	// In an order in which nothing is needed any more when it goes.
	throughTable(t, st.SystemPrompts(), other.SystemPrompts(), want.SystemPrompts, systemPromptID)
	throughTable(t, st.Calibrations(), other.Calibrations(), want.Calibrations, calibrationID)
	throughTable(t, st.SigningKeys(), other.SigningKeys(), want.SigningKeys, signingKeyID)
	throughTable(t, st.Revocations(), other.Revocations(), want.Revocations, revocationID)
	throughTable(t, st.Keys(), other.Keys(), want.Keys, keyID)
	throughTable(t, st.Limits(), other.Limits(), want.Limits, limitID)
	throughTable(t, st.Tasks(), other.Tasks(), want.Tasks, taskID)
	throughTable(t, st.Apps(), other.Apps(), want.Apps, appID)
	throughTable(t, st.Users(), other.Users(), want.Users, userID)
	throughTable(t, st.Teams(), other.Teams(), want.Teams, teamID)
	got, _, err = other.Load(t.Context())
	must(t, err)
	equal(t, "what is left", store.Objects{}, got)
}

func throughTable[T any](t *testing.T, table, other store.Table[T], want []T, id func(T) string) {
	t.Helper()
	list, err := other.List(t.Context(), store.Page{})
	must(t, err)
	equal(t, "list", want, list)
	for _, o := range want {
		got, err := other.Get(t.Context(), id(o))
		must(t, err)
		equal(t, id(o), o, got)
		must(t, table.Delete(t.Context(), id(o)))
		if _, err := other.Get(t.Context(), id(o)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q after its deletion: %v, want ErrNotFound", id(o), err)
		}
		names(t, table.Delete(t.Context(), id(o)), store.ErrNotFound, id(o))
		must(t, table.Put(t.Context(), o))
		got, err = other.Get(t.Context(), id(o))
		must(t, err)
		equal(t, id(o)+" put again", o, got)
		must(t, table.Delete(t.Context(), id(o)))
	}
}

func endedContext(t *testing.T, open func() store.Store) {
	st := open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.Apply(ctx, objects()); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v, want context.Canceled", err)
	}
	if err := st.Teams().Put(ctx, team("red")); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want context.Canceled", err)
	}
	if _, _, err := st.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("load: %v, want context.Canceled", err)
	}
	isEmpty(t, st)
	must(t, st.Teams().Put(t.Context(), team("red"))) // nothing is left locked
}

// isEmpty checks that nothing was ever changed.
func isEmpty(t *testing.T, st store.Store) {
	t.Helper()
	got, version, err := st.Load(t.Context())
	must(t, err)
	equal(t, "what is stored", store.Objects{}, got)
	changes, err := st.Changes(t.Context(), 0, 10)
	must(t, err)
	if version != 0 || len(changes) != 0 {
		t.Errorf("version %d with changes %v, want none", version, changes)
	}
}

// names checks that err is of a class and names everything that helps to mend it.
func names(t *testing.T, err, class error, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("error %v, want one that %v", err, class)
		return
	}
	var o *store.ObjectError
	if !errors.As(err, &o) {
		t.Errorf("error %v (%T) does not say which object it is about", err, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not name %s", err, w)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func version(t testing.TB, st store.Store) uint64 {
	t.Helper()
	v, err := st.Version(t.Context())
	must(t, err)
	return v
}
