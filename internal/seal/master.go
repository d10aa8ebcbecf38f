package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/keyfile"
)

// Errors of opening keys.
var (
	// ErrErased: the key was destroyed, and nothing that was sealed under it can be read again.
	ErrErased = errors.New("the key was erased")
	// ErrUnknownMaster: the master key that wraps a key is not in the file.
	ErrUnknownMaster = errors.New("the file of master keys lacks the one that wraps this key")
)

// MasterKeys wrap the keys of subjects. The first wraps, the others only unwrap, until they are taken out after a rotation.
type MasterKeys struct {
	current string
	ids     []string
	keys    map[string]aead
	secrets map[string][]byte
}

const (
	masterWord = "plumbline-master-key-v1"
	// maxMasterFile and maxMasters bound a file of master keys.
	maxMasterFile = 64 << 10
	maxMasters    = 16
)

// ParseMasterKeys reads a file of master keys: lines of the word plumbline-master-key-v1, the key's id and the key itself,
// 32 bytes in base64. An id is made of the key, so that a key that was copied wrongly shows. Empty lines and those that
// begin with # are left out. Errors name lines, and quote nothing of them.
func ParseMasterKeys(data []byte) (*MasterKeys, error) {
	if len(data) > maxMasterFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxMasterFile)
	}
	m := &MasterKeys{keys: map[string]aead{}, secrets: map[string][]byte{}}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := m.parse(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if m.current == "" {
		return nil, errors.New("holds no key: make one with plumbline audit master-key create")
	}
	return m, nil
}

func (m *MasterKeys) parse(line string) error {
	words := strings.Split(line, " ")
	if len(words) != 3 || words[0] != masterWord {
		return fmt.Errorf("must be %s, an id and a key, parted by one space", masterWord)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(words[2])
	switch {
	case err != nil || len(secret) != keySize:
		return fmt.Errorf("the key must be %d bytes in base64", keySize)
	case words[1] != masterID(secret):
		return errors.New("the id is not that of the key: one of them was changed")
	case m.secrets[words[1]] != nil:
		return errors.New("the key is there already")
	case len(m.ids) == maxMasters:
		return fmt.Errorf("there are more than %d keys", maxMasters)
	}
	m.add(secret)
	return nil
}

func (m *MasterKeys) add(secret []byte) {
	id := masterID(secret)
	if m.current == "" {
		m.current = id
	}
	m.ids = append(m.ids, id)
	m.keys[id], m.secrets[id] = newAEAD(secret), secret
}

// masterID names a key by what is made of it, and gives nothing of it away.
func masterID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("plumbline/master-key-id/1"), secret...))
	return "mk-" + hex.EncodeToString(sum[:8])
}

// NewMasterKeys makes a set of one new key.
func NewMasterKeys() *MasterKeys {
	m := &MasterKeys{keys: map[string]aead{}, secrets: map[string][]byte{}}
	m.add(newMaster())
	return m
}

func newMaster() []byte {
	secret := make([]byte, keySize)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	return secret
}

// Current is the id of the key that wraps, IDs those of all.
func (m *MasterKeys) Current() string { return m.current }

// IDs are the ids of all keys, the current one first.
func (m *MasterKeys) IDs() []string { return m.ids }

// Rotated is m with a new key before the others.
func (m *MasterKeys) Rotated() (*MasterKeys, error) {
	if len(m.ids) == maxMasters {
		return nil, fmt.Errorf("there are %d keys already: wrap all keys anew and take the old ones out first", maxMasters)
	}
	next := NewMasterKeys()
	for _, id := range m.ids {
		next.add(m.secrets[id])
	}
	return next, nil
}

// Only is m with the current key alone.
func (m *MasterKeys) Only() *MasterKeys {
	only := &MasterKeys{keys: map[string]aead{}, secrets: map[string][]byte{}}
	only.add(m.secrets[m.current])
	return only
}

// file is the content of a file of master keys.
func (m *MasterKeys) file() []byte {
	var b bytes.Buffer
	b.WriteString("# Master keys of Plumbline. The first wraps; the others only unwrap. Whoever has this file and the\n" +
		"# database can read what is sealed: keep both apart, backups as well.\n")
	for _, id := range m.ids {
		fmt.Fprintf(&b, "%s %s %s\n", masterWord, id, base64.StdEncoding.EncodeToString(m.secrets[id]))
	}
	return b.Bytes()
}

// ReadMasterKeys reads a file of master keys, which package keyfile's rule must hold for.
func ReadMasterKeys(path string) (*MasterKeys, error) {
	data, err := keyfile.Read(path, maxMasterFile)
	if err != nil {
		return nil, aboutMasters(err)
	}
	m, err := ParseMasterKeys(data)
	if err != nil {
		return nil, fmt.Errorf("master keys: %s: %w", path, err)
	}
	return m, nil
}

// CreateMasterFile writes m to a file that does not exist yet.
func CreateMasterFile(path string, m *MasterKeys) error {
	return aboutMasters(durable.Create(path, m.file()))
}

// ReplaceMasterFile puts m in the place of a file at once: who reads has the old keys or the new ones.
func ReplaceMasterFile(path string, m *MasterKeys) error {
	return aboutMasters(durable.Replace(path, m.file()))
}

func aboutMasters(err error) error {
	if err != nil {
		return fmt.Errorf("master keys: %w", err)
	}
	return nil
}
