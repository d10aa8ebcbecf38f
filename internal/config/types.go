package config

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// FileMode is a file's permissions, written in octal ("0660").
type FileMode fs.FileMode

// TypeName says how a mode is written.
func (FileMode) TypeName() string { return "permissions in octal, like 0660" }

// MarshalText writes the mode in octal.
func (m FileMode) MarshalText() ([]byte, error) {
	return strconv.AppendUint([]byte{'0'}, uint64(m), 8), nil
}

// UnmarshalText reads an octal mode with or without its prefix.
func (m *FileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "0o"), 8, 9)
	if err != nil {
		return errors.New("not " + m.TypeName())
	}
	*m = FileMode(n)
	return nil
}

// Bytes is a number of bytes, written with a binary unit ("4MiB") or without one.
type Bytes int64

var byteUnits = [...]struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// TypeName says how a size is written.
func (Bytes) TypeName() string { return "a size, like 4MiB" }

// MarshalText writes the size in the largest unit of which it is a whole number.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, u := range byteUnits {
		if b%u.size == 0 && b != 0 {
			return append(strconv.AppendInt(nil, int64(b/u.size), 10), u.name...), nil
		}
	}
	return []byte("0"), nil
}

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, unit := string(text), Bytes(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if size := Bytes(n) * unit; err != nil || size/unit != Bytes(n) {
		return errors.New("not " + b.TypeName())
	}
	*b = Bytes(n) * unit
	return nil
}

// Days is a number of days of 24 hours, written "400d", or "0".
type Days int

// TypeName says how days are written.
func (Days) TypeName() string { return "a number of days, like 400d" }

// Duration is the days as a span of time.
func (d Days) Duration() time.Duration { return time.Duration(d) * 24 * time.Hour }

// MarshalText writes the days.
func (d Days) MarshalText() ([]byte, error) {
	if d == 0 {
		return []byte("0"), nil
	}
	return append(strconv.AppendInt(nil, int64(d), 10), 'd'), nil
}

// UnmarshalText reads days.
func (d *Days) UnmarshalText(text []byte) error {
	number, hasUnit := strings.CutSuffix(string(text), "d")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || !hasUnit && n != 0 {
		return errors.New("not " + d.TypeName())
	}
	*d = Days(n)
	return nil
}

// Authn says whether callers must prove who they are.
type Authn string

// The kinds of authentication.
const (
	AuthnRequired Authn = "required"
	AuthnNone     Authn = "none"
)

// Values lists the kinds.
func (Authn) Values() []string { return []string{string(AuthnRequired), string(AuthnNone)} }

// Durability is the audit's loss contract.
type Durability string

// The loss contracts.
const (
	DurabilityStrict     Durability = "strict"
	DurabilityCrashSafe  Durability = "crash-safe"
	DurabilityReplicated Durability = "replicated"
)

// Values lists the loss contracts.
func (Durability) Values() []string {
	return []string{string(DurabilityStrict), string(DurabilityCrashSafe), string(DurabilityReplicated)}
}

// Content says what is kept of prompts and answers.
type Content string

// The ways to keep content.
const (
	ContentNone     Content = "none"
	ContentHash     Content = "hash"
	ContentRedacted Content = "redacted"
	ContentSealed   Content = "sealed"
)

// Values lists the ways.
func (Content) Values() []string {
	return []string{string(ContentNone), string(ContentHash), string(ContentRedacted), string(ContentSealed)}
}

// Addresses says what is recorded of network addresses.
type Addresses string

// What can be recorded of network addresses.
const (
	AddressesFull    Addresses = "full"
	AddressesNetwork Addresses = "network"
	AddressesNone    Addresses = "none"
)

// Values lists what can be recorded.
func (Addresses) Values() []string {
	return []string{string(AddressesFull), string(AddressesNetwork), string(AddressesNone)}
}

// Percent is a share in hundredths of a percent, written as in "2%" or "0.5%".
type Percent int

// TypeName says how a share is written.
func (Percent) TypeName() string { return "a share, like 2%" }

// Fraction is the share from 0 to 1.
func (p Percent) Fraction() float64 { return float64(p) / 10_000 }

// MarshalText writes the share.
func (p Percent) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(p)/100, 'f', -1, 64), '%'), nil
}

// UnmarshalText reads a share of at most two decimals.
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "%")
	whole, decimals, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole+(decimals + "00")[:2], 10, 16)
	if !ok || whole == "" || len(decimals) > 2 || err != nil || n > 10_000 {
		return errors.New("not " + p.TypeName())
	}
	*p = Percent(n)
	return nil
}

// LedgerKind says where limits are counted.
type LedgerKind string

// The ledgers.
const (
	LedgerMemory LedgerKind = "memory"
	LedgerRedis  LedgerKind = "redis"
)

// Values lists the ledgers.
func (LedgerKind) Values() []string { return []string{string(LedgerMemory), string(LedgerRedis)} }

// Level is a log level.
type Level string

// The log levels.
const (
	LevelDebug Level = "debug"
	LevelInfo  Level = "info"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
)

// Values lists the levels.
func (Level) Values() []string {
	return []string{string(LevelDebug), string(LevelInfo), string(LevelWarn), string(LevelError)}
}

// Format is the form of a log line.
type Format string

// The forms of a log line.
const (
	FormatText Format = "text"
	FormatJSON Format = "json"
)

// Values lists the forms.
func (Format) Values() []string { return []string{string(FormatText), string(FormatJSON)} }

// Sink is a place that lines are written to: the standard output, or a file.
type Sink string

// SinkStdout is the standard output.
const SinkStdout Sink = "stdout"

// File gives the path of the file, empty for the standard output.
func (s Sink) File() string {
	path, _ := strings.CutPrefix(string(s), filePrefix)
	if s == SinkStdout {
		return ""
	}
	return path
}

// TypeName says how a sink is written.
func (Sink) TypeName() string { return "stdout, or file: and a path" }

// UnmarshalText reads a sink.
func (s *Sink) UnmarshalText(text []byte) error {
	*s = Sink(text)
	if path, isFile := strings.CutPrefix(string(text), filePrefix); *s != SinkStdout && (!isFile || path == "") {
		return errors.New("not " + s.TypeName())
	}
	return nil
}
