// Package testkit serves tests: a real Envoy, recorded exchanges with the provider, and the shared test data.
//
// Contract: what a test needs and the machine does not have fails the test where CI is set, and skips it elsewhere.
// The program must not import it.
package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root is the directory of the module, found from the test's working directory upwards.
func Root(t testing.TB) string {
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
			t.Fatal("there is no go.mod above the test's directory")
		}
		dir = parent
	}
}

// SharedData gives the path of elem below the data directory beside the module, which is not part of it.
func SharedData(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{filepath.Dir(Root(t)), "shared", "data"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		Missing(t, "the shared test data ../shared/data/"+filepath.Join(elem...))
	}
	return path
}

// Program gives the path of a program that a test needs.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name)
	}
	return path
}

// Missing ends a test for which something is not there: it fails where CI is set, so that nothing goes untested
// quietly, and is skipped elsewhere.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing, and CI is set", what)
	}
	t.Skipf("%s is missing", what)
}
