// Package testkit is what the tests of several packages share. It must be imported by tests alone.
package testkit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// SharedData gives the path of a file or directory of the shared data, which lies beside the repository in
// ../shared/data. Where it is absent the test is skipped, or fails when the environment variable CI is set.
func SharedData(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{repository(t), "..", "shared", "data"}, elem...)...)
	switch _, err := os.Stat(path); {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "":
		t.Skipf("shared data is not here: %s", path)
	default:
		t.Fatalf("shared data: %v", err)
	}
	return path
}

// repository gives the directory of go.mod.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}
