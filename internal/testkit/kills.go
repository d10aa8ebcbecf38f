package testkit

import (
	"os"
	"strconv"
	"testing"
)

// Kills is how often a test kills a process: as PLUMBLINE_KILLS says, which makes it a campaign, or as often as usual.
func Kills(t testing.TB, usual int) (n int, campaign bool) {
	t.Helper()
	text := os.Getenv("PLUMBLINE_KILLS")
	if text == "" {
		return usual, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PLUMBLINE_KILLS must be a number: %v", err)
	}
	return n, true
}
