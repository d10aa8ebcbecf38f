package app

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/wholefile"
)

// TestPricesOfAFile: a table of prices is read from a regular file that is as long as it may be, and of nothing else: neither
// memory nor a start may depend on what the path leads to.
func TestPricesOfAFile(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "prices.json"), filepath.Join(dir, "pipe")
	text := []byte(`{"version": "mine", "models": [{"name": "m", "free": true}]}`)
	longest := append(bytes.Clone(text), bytes.Repeat([]byte(" "), maxPrices-len(text))...)
	if err := errors.Join(os.WriteFile(file, longest, 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if table, err := LoadPrices(config.Prices{File: file}); err != nil || table.Version() != "mine" {
		t.Errorf("a table that is as long as it may be: %v", err)
	}
	if err := os.WriteFile(file, append(longest, ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{file: wholefile.ErrTooLarge, pipe: wholefile.ErrNotRegular} {
		if _, err := LoadPrices(config.Prices{File: path}); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "prices.file: ") {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}
