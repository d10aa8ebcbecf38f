package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Numbers are those of one writer's records in a file.
type Numbers struct {
	Writer      string
	First, Last uint64
	Records     int64
}

// Manifest says what a file holds.
type Manifest struct {
	Format         Format
	Made           time.Time
	Query          string // as JSON
	Records, Bytes int64
	SHA256         [sha256.Size]byte
	Writers        []Numbers // by name

	writers map[string]*Numbers // while it is made
}

const (
	origin = "plumbline/export"
	// MaxManifest bounds a manifest, in bytes: some hundred thousand writers.
	MaxManifest = 32 << 20
)

// ErrManifest is wrapped by errors which say that a text is no manifest.
var ErrManifest = errors.New("export: this is not a manifest of an export")

func (m *Manifest) count(writer string, seq uint64) {
	m.Records++
	n := m.writers[writer]
	if n == nil {
		n = &Numbers{Writer: writer, First: seq, Last: seq}
		m.writers[writer] = n
	}
	n.First, n.Last, n.Records = min(n.First, seq), max(n.Last, seq), n.Records+1
}

// sign gives the manifest as a text, signed where there is a signer (C2SP signed-note).
func (m *Manifest) sign(signer note.Signer) ([]byte, error) {
	for _, writer := range slices.Sorted(maps.Keys(m.writers)) {
		m.Writers = append(m.Writers, *m.writers[writer])
	}
	m.writers = nil
	if signer == nil {
		return []byte(m.text()), nil
	}
	signed, err := note.Sign(&note.Note{Text: m.text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("export: signing the manifest: %w", err)
	}
	return signed, nil
}

func (m *Manifest) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nformat %s\nmade %s\nquery %s\nrecords %d\nbytes %d\nsha256 %x\n", origin, m.Format,
		m.Made.Format(time.RFC3339), m.Query, m.Records, m.Bytes, m.SHA256)
	for _, n := range m.Writers {
		fmt.Fprintf(&b, "writer %s %d %d %d\n", strconv.QuoteToASCII(n.Writer), n.First, n.Last, n.Records)
	}
	return b.String()
}

// ParseManifest reads a manifest, signed or not; its signature is not looked at. Only what was written is taken: the same
// manifest has one text.
func ParseManifest(text []byte) (m Manifest, err error) {
	if len(text) > MaxManifest {
		return m, fmt.Errorf("%w: it is larger than %d bytes", ErrManifest, MaxManifest)
	}
	body := string(text)
	if i := strings.Index(body, "\n\n"); i >= 0 {
		body = body[:i+1] // signatures follow
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if lines[0] != origin || len(lines) < 7 {
		return m, fmt.Errorf("%w: it does not begin as one", ErrManifest)
	}
	var made, sum string
	values := []struct {
		name string
		to   any
	}{
		{"format", (*string)(&m.Format)}, {"made", &made}, {"query", &m.Query}, {"records", &m.Records}, {"bytes", &m.Bytes}, {"sha256", &sum},
	}
	for i, v := range values {
		text, ok := strings.CutPrefix(lines[i+1], v.name+" ")
		if !ok {
			return m, fmt.Errorf("%w: line %d does not say %s", ErrManifest, i+2, v.name)
		}
		switch to := v.to.(type) {
		case *string:
			*to = text
		case *int64:
			*to, err = strconv.ParseInt(text, 10, 64)
		}
		if err != nil {
			return m, fmt.Errorf("%w: %s is no number", ErrManifest, v.name)
		}
	}
	if m.Made, err = time.Parse(time.RFC3339, made); err != nil {
		return m, fmt.Errorf("%w: made is no time", ErrManifest)
	}
	if n, err := hex.Decode(m.SHA256[:], []byte(sum[:min(len(sum), 2*sha256.Size)])); err != nil || n != sha256.Size {
		return m, fmt.Errorf("%w: sha256 is no hash", ErrManifest)
	}
	for _, l := range lines[7:] {
		n, err := parseNumbers(l)
		if err != nil {
			return m, err
		}
		m.Writers = append(m.Writers, n)
	}
	if m.text() != body {
		return m, fmt.Errorf("%w: it is not in the form in which it was written", ErrManifest)
	}
	return m, nil
}

func parseNumbers(l string) (n Numbers, err error) {
	bad := fmt.Errorf("%w: a line of a writer cannot be read", ErrManifest)
	rest, ok := strings.CutPrefix(l, "writer ")
	if !ok {
		return n, bad
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return n, bad
	}
	if n.Writer, err = strconv.Unquote(quoted); err != nil {
		return n, bad
	}
	parts := strings.Split(rest[len(quoted):], " ")
	if len(parts) != 4 || parts[0] != "" {
		return n, bad
	}
	var errs [3]error
	n.First, errs[0] = strconv.ParseUint(parts[1], 10, 64)
	n.Last, errs[1] = strconv.ParseUint(parts[2], 10, 64)
	n.Records, errs[2] = strconv.ParseInt(parts[3], 10, 64)
	if errors.Join(errs[:]...) != nil {
		return n, bad
	}
	return n, nil
}

// Check reads a file and says whether it is the one that a manifest was written for. With a public key (as chain.NewKey made
// it), the manifest must be signed with it; without, nobody looks at a signature.
func Check(manifest []byte, file io.Reader, key string) (m Manifest, err error) {
	if key != "" {
		verifier, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return m, ErrKey
		}
		if _, err := note.Open(manifest, note.VerifierList(verifier)); err != nil {
			return m, ErrSignature
		}
	}
	if m, err = ParseManifest(manifest); err != nil {
		return m, err
	}
	sum := &summed{hash: sha256.New()}
	if _, err := io.Copy(sum, file); err != nil {
		return m, fmt.Errorf("export: the file cannot be read: %w", err)
	}
	if sum.bytes != m.Bytes || [sha256.Size]byte(sum.hash.Sum(nil)) != m.SHA256 {
		return m, ErrChanged
	}
	return m, nil
}

// What Check finds wrong.
var (
	ErrKey       = errors.New("export: the public key cannot be read: it is one line, name+hash+key")
	ErrSignature = errors.New("export: the manifest is not signed with the key that was given")
	ErrChanged   = errors.New("export: the file is not the one that was written: its SHA-256 is not that of the manifest")
)

// IsSigned reports whether a manifest has a signature, whosever it is.
func IsSigned(manifest []byte) bool { return bytes.Contains(manifest, []byte("\n\n")) }
