package store

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/plumbline/plumbline/internal/core"
)

// SubjectKeys holds the keys that content is sealed under, wrapped. Methods must be safe for concurrent use, also by
// several processes. Making a key is no change of control data and must not be in the feed of changes, or each person who
// comes for the first time would have every replica load everything; erasing one is, so that replicas forget it.
type SubjectKeys interface {
	// Ensure must give the key of candidate.Subject that is not erased, and keep the candidate as that where there is none:
	// of many at once, all are given the same one. It must refuse a candidate that is not valid (ErrInvalid).
	Ensure(ctx context.Context, candidate core.SubjectKey) (core.SubjectKey, error)
	// Get must give a key by its id, an erased one included, or ErrNotFound.
	Get(ctx context.Context, id string) (core.SubjectKey, error)
	// List must give keys in the bytewise order of their ids, erased ones included.
	List(ctx context.Context, p Page) ([]core.SubjectKey, error)
	// Erase must destroy the subject's key and note it in the feed with the action EraseAction, the object
	// "subject-key/<subject>" and the reason of ctx (WithReason), by one commit. It must report ErrNotFound, and note
	// nothing, where there is no key that is not erased. The place in which the key was stored must be overwritten as far as
	// the database can.
	Erase(ctx context.Context, subject string) error
	// EraseSamples must do the same with every key of a day before, "sample/<day>", as System, and say how many those were.
	EraseSamples(ctx context.Context, before time.Time) (int64, error)
	// Rewrap must replace what wraps a key, if that is still what was says, and report whether it did.
	Rewrap(ctx context.Context, was, now core.SubjectKey) (bool, error)
	// NoteLook must put into the feed that the content of exchanges is looked at, for the reason of ctx: of each the action
	// RevealAction and the object "exchange/<id>", all of them or none. It must return nil only when that survives the loss of
	// power.
	NoteLook(ctx context.Context, exchanges ...string) error
}

// The actions of the feed that concern content.
const (
	EraseAction  = "erase"
	RevealAction = "reveal"
)

// SubjectKeyKind is what the feed calls a subject's key.
const SubjectKeyKind = "subject-key"

// samplePrefix begins the subject of a key that samples of one day are sealed under.
const samplePrefix = "sample/"

// SampleSubject is the subject whose key the samples of a day are sealed under, in UTC.
func SampleSubject(at time.Time) string { return samplePrefix + at.UTC().Format(time.DateOnly) }

// Bounds of what is kept with a key, in bytes.
const (
	maxKeyID   = 64
	maxSubject = 256
	maxWrapped = 256
	maxReason  = 500
)

// ValidateSubjectKey reports all that is wrong with a key that is to be kept.
func ValidateSubjectKey(k core.SubjectKey) error {
	var p problems
	if k.ID == "" || len(k.ID) > maxKeyID || !Storable(k.ID) {
		p.add("id must have from 1 to %d bytes of text", maxKeyID)
	}
	if kind, id, ok := strings.Cut(k.Subject, "/"); !ok || kind == "" || id == "" || len(k.Subject) > maxSubject || !Storable(k.Subject) {
		p.add("subject must be a kind and an id, in at most %d bytes", maxSubject)
	}
	if k.Master == "" || len(k.Master) > maxKeyID || !Storable(k.Master) {
		p.add("master must name the master key")
	}
	if len(k.Wrapped) == 0 || len(k.Wrapped) > maxWrapped {
		p.add("the wrapped key must have from 1 to %d bytes", maxWrapped)
	}
	if !k.Erased.IsZero() {
		p.add("it is erased")
	}
	p.time("created", k.Created)
	return p.err(SubjectKeyKind, k.Subject)
}

// NoSubjectKey says that a subject has no key that is not erased.
func NoSubjectKey(subject string) error {
	return &ObjectError{Kind: SubjectKeyKind, ID: subject, Detail: "nothing is sealed for it, or it is erased already", Err: ErrNotFound}
}

type reasonKey struct{}

// WithReason says why changes under ctx are made.
func WithReason(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, reasonKey{}, reason)
}

// Reason is why changes under ctx are made, empty when nobody said.
func Reason(ctx context.Context) string {
	reason, _ := ctx.Value(reasonKey{}).(string)
	return reason
}

// CheckReason reports what is wrong with the words in which somebody says why.
func CheckReason(reason string) error {
	var p problems
	switch {
	case strings.TrimSpace(reason) == "":
		p.add("say why: it is recorded")
	case len(reason) > maxReason, !Storable(reason), strings.ContainsFunc(reason, unicode.IsControl):
		p.add("must be one line of at most %d bytes", maxReason)
	}
	return p.err("reason", "")
}
