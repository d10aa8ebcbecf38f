package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that cannot be printed: every way of formatting, logging or marshalling it shows "[secret]", or
// nothing when it is empty. Reveal is the one way to it.
type Secret struct {
	// A function, because fmt prints the strings of unexported fields without asking their methods.
	reveal func() string
}

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{func() string { return value }}
}

// Reveal gives the value itself.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.reveal == nil }

// String shows whether there is a value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return "[secret]"
}

// GoString is String: for %#v.
func (s Secret) GoString() string { return s.String() }

// Format prints String whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String: for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String: for JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText keeps the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// TypeName says how a secret is written.
func (Secret) TypeName() string { return "a secret, or file: and the path of a file that holds it" }
