package store

import (
	"context"
	"regexp"

	"github.com/plumbline/plumbline/internal/core"
)

// Policies holds the policy documents that came into force, the last MostPolicies of them. Load gives the newest alone:
// that is the one in force where the configuration names no file.
type Policies interface {
	// Put must keep p under the next number, in the name and for the reason of ctx (WithActor, WithReason), whatever p says of
	// these. It must note the change on "policy/<version>" by the same commit: RestoreAction where p restores another, else
	// ApplyAction. Then it must forget the oldest beyond MostPolicies, as changes by System with the action "expire".
	//
	// seen is the last number that whoever asks knows of. Where the newest, or any later than seen, has the version and the
	// text of p, Put must change nothing and return that one: of many replicas that see the same document one keeps it.
	Put(ctx context.Context, p core.PolicyVersion, seen int64) (core.PolicyVersion, error)
	// Get must give the one with a number, or ErrNotFound.
	Get(ctx context.Context, number int64) (core.PolicyVersion, error)
	// List must give all of them without their texts, the newest first.
	List(ctx context.Context) ([]core.PolicyVersion, error)
}

// PolicyKind is what the feed calls a policy.
const PolicyKind = "policy"

// The actions of the feed that put a policy in force.
const (
	ApplyAction   = "apply"
	RestoreAction = "restore"
)

// MostPolicies is how many versions of the policy are kept.
const MostPolicies = 100

// MaxPolicy is the most that a policy document may have, in bytes. It is that of package yamldoc.
const MaxPolicy = 1 << 20

var policyVersion = regexp.MustCompile(`^[0-9a-f]{12}$`)

// ValidatePolicy reports all that is wrong with a version of the policy that is to be put. Whether its text is a policy is
// for others to say.
func ValidatePolicy(p core.PolicyVersion) error {
	var x problems
	if !policyVersion.MatchString(p.Version) {
		x.add("version must have 12 hexadecimal digits")
	}
	if p.Text == "" || len(p.Text) > MaxPolicy || !Storable(p.Text) {
		x.add("text must have from 1 to %d bytes of UTF-8, without U+0000", MaxPolicy)
	}
	if p.Restores < 0 {
		x.add("restores must be the number of a version")
	}
	x.time("created", p.Created)
	if p.Created.IsZero() {
		x.add("created is missing")
	}
	return x.err(PolicyKind, p.Version)
}

// PolicyAction is what the feed calls the coming into force of p.
func PolicyAction(p core.PolicyVersion) string {
	if p.Restores != 0 {
		return RestoreAction
	}
	return ApplyAction
}

// NoPolicy says that there is no version of the policy with a number or a name.
func NoPolicy(id string) error {
	return &ObjectError{Kind: PolicyKind, ID: id, Detail: "plumbline policy versions lists those that are kept", Err: ErrNotFound}
}
