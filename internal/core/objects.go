package core

import "time"

// User is a person whose traffic is governed.
type User struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Team    string    `json:"team,omitempty"`
	Blocked bool      `json:"blocked,omitempty"`
	Created time.Time `json:"created"`
}

// Team groups users for limits, models and tasks.
type Team struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
}

// App is a program that calls the provider in the name of users or its own.
type App struct {
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Team    string    `json:"team,omitempty"`
	Created time.Time `json:"created"`
}

// Task is a piece of work a person was assigned, in words that prompts can be compared with.
type Task struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Topics      []string `json:"topics,omitempty"`       // covered topics, about eight short phrases
	Examples    []string `json:"examples,omitempty"`     // prompts that belong to the task
	OutOfScope  []string `json:"out_of_scope,omitempty"` // prompts that seem to belong to the task, and do not
	// Users and Teams are those the task is assigned to.
	Users   []string  `json:"users,omitempty"`
	Teams   []string  `json:"teams,omitempty"`
	Created time.Time `json:"created"`
}

// AppKey is an opaque credential of an app, optionally bound to one user. The key itself is shown once and not kept.
type AppKey struct {
	ID      string    `json:"id"`
	App     string    `json:"app"`
	User    string    `json:"user,omitempty"`
	Hash    [32]byte  `json:"-"`    // SHA-256 of the whole key
	Hint    string    `json:"hint"` // last four characters before the checksum
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// SystemPrompt is a system prompt that was registered as an app's own: fingerprints by which its text is known again, never
// the text.
type SystemPrompt struct {
	ID  string `json:"id"` // named by its content
	App string `json:"app"`
	// Label says to people which prompt it is, and By who registered it, as the audit names them.
	Label string `json:"label"`
	By    string `json:"by"`
	// Pieces are the fixed pieces of the text, in order. Between two of them lies a part that varies.
	Pieces  []PromptPiece `json:"pieces"`
	Created time.Time     `json:"created"`
}

// Bounds of system prompts, in bytes once each run of white space is one space.
const (
	MaxSystemPrompt = 64 << 10 // all pieces
	MaxPromptPieces = 17
	// MinPromptStart is the least length of the first piece: a shorter one could be guessed from its hash, and would be met by
	// chance. Only the last may be empty.
	MinPromptStart = 16
)

// PromptPiece is the fingerprint of a fixed piece of a system prompt. See package sysprompt.
type PromptPiece struct {
	Bytes int      `json:"bytes"` // its length
	Probe uint32   `json:"probe"` // a short hash of its first bytes, by which a place for it is found
	Sum   [32]byte `json:"sum"`   // SHA-256 of the app's id, a zero byte and the piece
}

// IssuedToken is what is kept of a token that Plumbline signed: whom it is for, never the token itself.
type IssuedToken struct {
	ID      string    `json:"id"` // the token's jti
	User    string    `json:"user,omitempty"`
	App     string    `json:"app,omitempty"`
	Session string    `json:"session,omitempty"` // the token's sid
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Revocation ends tokens before they expire: one token by its id, all of a session, or all of a subject issued before a
// time.
type Revocation struct {
	ID           string    `json:"id"`
	TokenID      string    `json:"token_id,omitempty"`
	Session      string    `json:"session,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	Created      time.Time `json:"created"`
	// Expires is when no token it could name can still be valid, and the row can go.
	Expires time.Time `json:"expires"`
}

// SubjectKey is the key under which what derives from one subject's prompts is sealed. A subject has at most one that is not
// erased.
type SubjectKey struct {
	ID string `json:"id"`
	// Subject is "user/<id>", "app/<id>" or "sample/<day>".
	Subject string `json:"subject"`
	// Master names the master key that Wrapped is wrapped by. Both are empty when the key was erased.
	Master  string    `json:"master,omitempty"`
	Wrapped []byte    `json:"-"`
	Created time.Time `json:"created"`
	Erased  time.Time `json:"erased,omitzero"`
}

// SigningKey is a key pair of Plumbline's own issuer. Private is PKCS #8 DER, never leaves the store but to sign, and is
// thrown away when the key retires.
type SigningKey struct {
	ID      string    `json:"id"` // the token's kid
	Alg     string    `json:"alg"`
	Public  []byte    `json:"-"` // PKIX DER
	Private []byte    `json:"-"`
	Created time.Time `json:"created"`
	Retired time.Time `json:"retired,omitzero"` // no longer signs, still verifies
}
