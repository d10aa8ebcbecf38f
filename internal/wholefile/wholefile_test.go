package wholefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/internal/wholefile"
)

const content = "what is in the file"

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte(content), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if data, err := wholefile.Read(path, int64(len(content))); err != nil || string(data) != content {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if data, err := wholefile.Read(file, int64(len(content)-1)); !errors.Is(err, wholefile.ErrTooLarge) || data != nil {
		t.Errorf("a byte too many: %q, %v", data, err)
	}
	if _, err := wholefile.Read(filepath.Join(dir, "none"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestWhatIsNoFile: nothing but a regular file is read, and a pipe that nobody writes to holds nobody up.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, os.DevNull} {
		if data, err := wholefile.Read(path, 100); !errors.Is(err, wholefile.ErrNotRegular) || data != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

// TestChecks: what a check refuses is not read, and the check sees what was opened, not the link to it.
func TestChecks(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte(content), 0o640), os.Chmod(file, 0o640), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("has the wrong mode")
	private := func(info fs.FileInfo) error {
		if info.Mode().Perm() != 0o600 {
			return wrong
		}
		return nil
	}
	if data, err := wholefile.Read(link, 100, private); !errors.Is(err, wrong) || data != nil || strings.Contains(err.Error(), content) {
		t.Errorf("a mode that is refused: %q, %v", data, err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := wholefile.Read(link, 100, private, private); err != nil || string(data) != content {
		t.Errorf("a mode that is allowed: %q, %v", data, err)
	}
}
