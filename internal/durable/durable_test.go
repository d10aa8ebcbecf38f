package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/durable"
)

func TestCreateReplacesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := durable.Create(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	err := durable.Create(path, []byte("two"))
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want that %s exists", err, path)
	}
	holds(t, path, "one")
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, content := range []string{"one", "two"} {
		if err := durable.Replace(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, content)
	}
	if err := durable.Replace(filepath.Join(filepath.Dir(path), "missing", "key"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no directory: %v", err)
	}
	directory := filepath.Join(filepath.Dir(path), "directory")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(directory, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if err := os.Remove(directory); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "two")
}

// holds checks a file, and that it is alone in its directory.
func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(all) != 1 {
		t.Errorf("%v, %v: something else was left", all, err)
	}
}
