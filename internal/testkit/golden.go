package testkit

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden fails the test where a file is not what it is to be now, with the difference and what to do about it. Where update is
// set the file is written first.
func Golden(t testing.TB, file string, now []byte, update bool, remedy string) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, now, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(old), string(now)); diff != "" {
		t.Errorf("%s is out of date (-file +now): %s\n%s", file, remedy, diff)
	}
}
