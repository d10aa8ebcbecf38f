package notary

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/keyfile"
)

const (
	// keyName is what checkpoints are signed as.
	keyName = "plumbline"
	// maxKey bounds a key file, in bytes.
	maxKey = 4096
)

// Key is a signing key, and the public one that verifies its signatures.
type Key struct {
	Signer *chain.Signer
	Public string
}

// ReadKey reads the signing key in a file, which package keyfile's rule must hold for.
func ReadKey(path string) (Key, error) {
	data, err := keyfile.Read(path, maxKey)
	if err != nil {
		return Key{}, fmt.Errorf("the signing key of checkpoints: %w", err)
	}
	signer, err := chain.NewSigner(string(data))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w (plumbline audit checkpoint-key create makes one)", path, err)
	}
	public, err := chain.PublicKey(string(data))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return Key{signer, public}, nil
}

// ReadOrMakeKey reads the key in a file, or makes one there when there is no file. made reports that it did.
func ReadOrMakeKey(path string) (key Key, made bool, err error) {
	key, err = ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	switch err := MakeKey(path); {
	case errors.Is(err, fs.ErrExist): // another process was first
	case err != nil:
		return Key{}, false, err
	default:
		made = true
	}
	key, err = ReadKey(path)
	return key, made, err
}

// MakeKey makes a new signing key in a file of mode 0600, which must not exist. The file is there whole or not at all.
func MakeKey(path string) error {
	private, _, err := chain.NewKey(rand.Reader, keyName)
	if err != nil {
		return err
	}
	err = durable.Create(path, []byte(private+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making a signing key of checkpoints: %s exists, and no key is replaced: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("making a signing key of checkpoints: %w", err)
	}
	return nil
}
