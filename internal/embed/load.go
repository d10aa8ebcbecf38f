package embed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/plumbline/plumbline/internal/wholefile"
)

// MaxFile is the greatest size of a file that Read takes, in bytes: more than twice what 256 columns and all pairs take.
const MaxFile = 128 << 20

// Load reads the table in a file, as Read does.
func Load(path string) (*Table, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := replacement(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ReadFile reads a file that is no larger than a table, whatever it holds.
func ReadFile(path string) ([]byte, error) { return wholefile.Read(path, MaxFile) }

// Read reads a table that is to take the place of the shipped one. It must have the shipped one's pieces, because a prompt is
// cut into pieces once, whoever reads them; columns, pairs, rows and rarities are its own. Its version must end in the first
// digits of the SHA-256 of its content, so that two tables do not pass for one another.
func Read(r io.Reader) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("embed: more than %d bytes, which no table has", MaxFile)
	}
	return replacement(data)
}

func replacement(data []byte) (*Table, error) {
	standard, err := Default()
	if err != nil {
		return nil, err
	}
	t, err := parse(data, standard)
	if err != nil {
		return nil, err
	}
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
