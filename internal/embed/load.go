package embed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxFile is the greatest size of a file that Read takes, in bytes: more than twice what 256 columns and all pairs take.
const MaxFile = 128 << 20

// Load reads the table in a file, as Read does.
func Load(path string) (*Table, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ReadFile reads a file that is no larger than a table, whatever it holds.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // reading a pipe could wait for ever
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return readAll(f)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("embed: more than %d bytes, which no table has", MaxFile)
	}
	return data, err
}

// Read reads a table that is to take the place of the shipped one. It must have the shipped one's pieces, because a prompt is
// cut into pieces once, whoever reads them; columns, pairs, rows and rarities are its own. Its version must end in the first
// digits of the SHA-256 of its content, so that two tables do not pass for one another.
func Read(r io.Reader) (*Table, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	t, err := Parse(data)
	if err != nil {
		return nil, err
	}
	standard, err := Default()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(t.names, standard.names) {
		return nil, errors.New("embed: the table has other pieces of words than the shipped one; prompts are cut into the shipped one's")
	}
	t.names, t.slots = standard.names, standard.slots // equal, and nothing keeps the file in memory then
	content := data[len(magic)+len(t.version)+1 : len(data)-sha256.Size]
	if want := "-" + contentName(content); !strings.HasSuffix(t.version, want) {
		return nil, fmt.Errorf("embed: the table calls itself %s, and its content is called …%s: the name must come from the content", t.version, want)
	}
	return t, nil
}

// contentName is what a version ends in: the first digits of the digest of all that follows the version's line.
func contentName(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:4])
}
