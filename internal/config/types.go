package config

import "io/fs"

// FileMode is a file's permissions, written in octal ("0660").
type FileMode fs.FileMode

// Bytes is a number of bytes, written as "4MiB".
type Bytes int64

// Secret is a value that cannot be printed.
type Secret struct{ value string }

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal gives the value itself.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == "" }

// Authn says whether callers must prove who they are.
type Authn string

// The kinds of authentication.
const (
	AuthnRequired Authn = "required"
	AuthnNone     Authn = "none"
)

// Durability is the audit's loss contract.
type Durability string

// The loss contracts.
const (
	DurabilityStrict    Durability = "strict"
	DurabilityCrashSafe Durability = "crash-safe"
)

// Level is a log level.
type Level string

// Format is the form of a log line.
type Format string
