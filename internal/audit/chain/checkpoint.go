package chain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint says, signed, that a writer's first Size records have a tree with this root.
type Checkpoint struct {
	Writer string
	Size   uint64
	Root   [sha256.Size]byte
	Time   time.Time // when it was signed
	// Note is the signed text (C2SP tlog-checkpoint and signed-note): the origin, the size, the root, and a line with the
	// time, then the signature.
	Note []byte
}

// originPrefix comes before the writer's name in a checkpoint's first line.
const originPrefix = "plumbline/audit/"

// Signer signs checkpoints with an Ed25519 key.
type Signer struct{ key note.Signer }

var errPrivate = errors.New("audit: the signing key of checkpoints cannot be read: it is one line that begins with PRIVATE+KEY+")

// NewKey makes a signing key and the key that verifies its signatures. The name is what checkpoints are signed as: no
// space and no plus sign.
func NewKey(random io.Reader, name string) (private, public string, err error) {
	private, public, err = note.GenerateKey(random, name)
	if err != nil {
		return "", "", fmt.Errorf("audit: making a key for checkpoints: %w", err)
	}
	return private, public, nil
}

// NewSigner reads a signing key as NewKey made it. Its errors do not quote the key.
func NewSigner(private string) (*Signer, error) {
	key, err := note.NewSigner(strings.TrimSpace(private))
	if err != nil {
		return nil, errPrivate
	}
	return &Signer{key}, nil
}

// Note gives what signs other notes than checkpoints: their first line must not begin as that of a checkpoint does.
func (s *Signer) Note() note.Signer { return s.key }

// PublicKey gives the key that verifies the signatures of a signing key. Its errors do not quote the key.
func PublicKey(private string) (string, error) {
	private = strings.TrimSpace(private)
	if _, err := NewSigner(private); err != nil {
		return "", err
	}
	// PRIVATE+KEY+name+hash+data, where the data is the algorithm and the seed, and base64 may hold a plus sign.
	parts := strings.SplitN(private, "+", 5)
	data, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(data) != 1+ed25519.SeedSize {
		return "", errPrivate
	}
	public, ok := ed25519.NewKeyFromSeed(data[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errPrivate
	}
	return note.NewEd25519VerifierKey(parts[2], public)
}

// Sign makes the checkpoint of a tree as it is now.
func (s *Signer) Sign(writer string, tree *Tree, at time.Time) (Checkpoint, error) {
	if writer == "" || strings.ContainsAny(writer, "\r\n") {
		return Checkpoint{}, errors.New("audit: a writer's name is empty or of more than one line")
	}
	c := Checkpoint{Writer: writer, Size: tree.Size(), Root: tree.Root(), Time: at.UTC().Truncate(time.Microsecond)}
	signed, err := note.Sign(&note.Note{Text: c.text()}, s.key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: signing a checkpoint: %w", err)
	}
	c.Note = signed
	return c, nil
}

func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s%s\n%d\n%s\ntime %s\n", originPrefix, c.Writer, c.Size,
		base64.StdEncoding.EncodeToString(c.Root[:]), c.Time.Format(time.RFC3339Nano))
}

// Keys are the public keys whose checkpoints are believed: the one in use, and those that were used before it.
type Keys struct{ list note.Verifiers }

// ParseKeys reads public keys as NewKey made them.
func ParseKeys(public ...string) (Keys, error) {
	if len(public) == 0 {
		return Keys{}, errors.New("audit: no key to verify checkpoints with")
	}
	all := make([]note.Verifier, len(public))
	for i, text := range public {
		v, err := note.NewVerifier(strings.TrimSpace(text))
		if err != nil {
			return Keys{}, fmt.Errorf("audit: public key %d cannot be read: it is one line of name+hash+key", i+1)
		}
		all[i] = v
	}
	return Keys{note.VerifierList(all...)}, nil
}

// ErrUnknownKey is returned for a checkpoint that may be right, and is signed by none of the keys.
var ErrUnknownKey = errors.New("audit: a checkpoint is signed by none of the keys: give the public key that was in use")

// maxNote bounds a checkpoint's text.
const maxNote = 4096

// Parse reads a checkpoint that one of the keys signed.
func (k Keys) Parse(signed []byte) (Checkpoint, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, fmt.Errorf("audit: a checkpoint of %d bytes is larger than %d", len(signed), maxNote)
	}
	n, err := note.Open(signed, k.list)
	if err != nil {
		var unverified *note.UnverifiedNoteError
		if errors.As(err, &unverified) {
			return Checkpoint{}, ErrUnknownKey
		}
		return Checkpoint{}, fmt.Errorf("audit: a checkpoint's signature does not hold: %w", err)
	}
	c, err := parseText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	c.Note = bytes.Clone(signed)
	return c, nil
}

var errText = errors.New("audit: a checkpoint's text is not one of Plumbline")

func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || !strings.HasPrefix(lines[0], originPrefix) || !strings.HasPrefix(lines[3], "time ") {
		return Checkpoint{}, errText
	}
	c := Checkpoint{Writer: strings.TrimPrefix(lines[0], originPrefix)}
	var err, badRoot, badTime error
	c.Size, err = strconv.ParseUint(lines[1], 10, 63)
	root, badRoot := base64.StdEncoding.DecodeString(lines[2])
	c.Time, badTime = time.Parse(time.RFC3339Nano, strings.TrimPrefix(lines[3], "time "))
	if err != nil || badRoot != nil || badTime != nil || len(root) != sha256.Size || c.Writer == "" {
		return Checkpoint{}, errText
	}
	c.Root = [sha256.Size]byte(root)
	if want := c.text(); !strings.HasPrefix(text, want) { // what comes after it is for later versions
		return Checkpoint{}, errText
	}
	return c, nil
}
