package models_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
)

// FuzzNote: whatever stands in the file that says which model is in use, it names one whose file could lie in the directory and
// nowhere else, or is refused.
func FuzzNote(f *testing.F) {
	for _, note := range []string{"", "first-01234567\n", "a\nb\r\n c \n", "../up\n", ".hidden\n", "a\n\nb\n", "a\x00b\n", strings.Repeat("a\n", 17)} {
		f.Add([]byte(note))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, note []byte) {
		if err := os.WriteFile(filepath.Join(dir, "in-use"), note, 0o600); err != nil {
			t.Fatal(err)
		}
		version, err := models.Dir(dir).InUse()
		switch first, _, _ := strings.Cut(string(note), "\n"); {
		case err != nil && (version != "" || !strings.Contains(err.Error(), "in-use")):
			t.Errorf("%q, %v", version, err)
		case err == nil && (!embed.IsVersion(version) || strings.TrimSpace(first) != version):
			t.Errorf("%q is in use by the note %q", version, note)
		}
	})
}
