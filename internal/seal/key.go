package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Key is the key of one subject, ready for use. It is immutable and safe for concurrent use.
type Key struct {
	ID      string
	Subject string
	sealing aead
	hashing [keySize]byte
}

// newKey derives what is needed from a subject's secret: one key to seal with and another to hash with.
func newKey(id, subject string, secret []byte) (*Key, error) {
	k := &Key{ID: id, Subject: subject}
	for _, use := range []struct {
		name string
		take func([]byte)
	}{
		{"plumbline/seal/1", func(b []byte) { k.sealing = newAEAD(b) }},
		{"plumbline/hash/1", func(b []byte) { copy(k.hashing[:], b) }},
	} {
		derived, err := hkdf.Expand(sha256.New, secret, use.name, keySize)
		if err != nil {
			return nil, fmt.Errorf("seal: deriving a key: %w", err)
		}
		use.take(derived)
	}
	return k, nil
}

// Place is where in the records something sealed stands. A ciphertext opens in its own place alone, so that nobody who can
// write records can have one person's words, or a prompt, stand for another's, or for an answer.
//
// The writer of the record is not part of it: an exchange has its id from no other, each of its steps is recorded once, and
// the leaf hash covers the writer, its number and the ciphertext.
type Place struct {
	Exchange string
	Kind     core.RecordKind
	Field    Field
}

// Field says what is sealed.
type Field string

// The fields of core.Sealed, and FieldNote for what is kept beside the records.
const (
	FieldEvidence Field = "evidence"
	FieldPrompt   Field = "prompt"
	FieldAnswer   Field = "answer"
	FieldSample   Field = "sample"
	FieldNote     Field = "note"
)

// bound is the place and the key's owner as bytes, each part with its length before it, so that no two are the same.
func (k *Key) bound(p Place) []byte {
	return joined("plumbline/content/1", k.ID, k.Subject, p.Exchange, string(p.Kind), string(p.Field))
}

func joined(parts ...string) []byte {
	b := make([]byte, 0, 192)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// Seal seals a text for its place.
func (k *Key) Seal(text []byte, p Place) []byte { return k.sealing.seal(text, k.bound(p)) }

// Open gives back what Seal was given.
func (k *Key) Open(sealed []byte, p Place) ([]byte, error) { return k.sealing.open(sealed, k.bound(p)) }

// Hash is a keyed hash of some texts: equal texts have equal ones under one key, and without the key it can neither be
// made nor guessed at. The field is part of it, so that a prompt is not compared with an answer.
func (k *Key) Hash(f Field, parts []core.Part) []byte {
	h := hmac.New(sha256.New, k.hashing[:])
	head := joined("plumbline/content/1", string(f))
	for _, p := range parts {
		for _, s := range [...]string{string(p.Role), string(p.Kind), p.Text} {
			head = binary.AppendUvarint(head, uint64(len(s)))
			h.Write(head)
			h.Write([]byte(s))
			head = head[:0]
		}
	}
	h.Write(head)
	return h.Sum(nil)
}

// wrapBound binds a wrapped key to whose it is: a row that is copied to another subject does not open there.
func wrapBound(k core.SubjectKey) []byte {
	return joined("plumbline/subject-key/1", k.Master, k.ID, k.Subject)
}

// Make makes a new key for a subject, wrapped by the current master key.
func (m *MasterKeys) Make(subject string, now time.Time) core.SubjectKey {
	secret := make([]byte, keySize)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	return m.wrap(core.SubjectKey{ID: "sbk-" + rand.Text(), Subject: subject, Created: now}, secret)
}

func (m *MasterKeys) wrap(k core.SubjectKey, secret []byte) core.SubjectKey {
	k.Master = m.current
	k.Wrapped = m.keys[m.current].seal(secret, wrapBound(k))
	clear(secret)
	return k
}

// Unwrap makes a key ready for use.
func (m *MasterKeys) Unwrap(k core.SubjectKey) (*Key, error) {
	secret, err := m.unwrap(k)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return newKey(k.ID, k.Subject, secret)
}

// Rewrap wraps a key by the current master key. It reports whether another one did before.
func (m *MasterKeys) Rewrap(k core.SubjectKey) (core.SubjectKey, bool, error) {
	if k.Master == m.current {
		return k, false, nil
	}
	secret, err := m.unwrap(k)
	if err != nil {
		return k, false, err
	}
	return m.wrap(k, secret), true, nil
}

func (m *MasterKeys) unwrap(k core.SubjectKey) ([]byte, error) {
	if !k.Erased.IsZero() {
		return nil, ErrErased
	}
	master, ok := m.keys[k.Master]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownMaster, k.Master)
	}
	secret, err := master.open(k.Wrapped, wrapBound(k))
	if err == nil && len(secret) != keySize {
		err = errSealed
	}
	if err != nil {
		return nil, fmt.Errorf("the key of %s, wrapped by %s: %w", k.Subject, k.Master, err)
	}
	return secret, nil
}
