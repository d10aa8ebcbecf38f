package notary_test

import (
	"strings"
	"testing"
)

// TestAGapHoldsNothingUp: of a writer whose records are missing here, what comes before the gap is signed, and neither that
// nor what comes after it keeps the log from letting go of what was shipped: a spool would fill, and calls be refused.
func TestAGapHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.record(9) // and the process dies before they are signed
	must(t, w.log.Close(t.Context()))
	w.exec("DELETE FROM entries WHERE seq = 5")
	w.open()
	w.record(1)
	if err := w.notary.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.logged.String(), "audit records are missing") {
		t.Errorf("logged: %s", w.logged.String())
	}
	if got := w.notary.Hold(); got != 10 {
		t.Errorf("holds what comes after %d of 10", got)
	}
	outside := w.evidence().Outside
	if len(outside) != 2 || min(outside[0].Size, outside[1].Size) != 1 || max(outside[0].Size, outside[1].Size) != 4 {
		t.Errorf("published %+v: want the four before the gap, and the one of the next start", outside)
	}
}

// TestWhatVanishedIsSignedAllTheSame: a record that is taken from the tables before it is signed is in the checkpoint, which is
// made of what was written and not of what is there: verifying misses it.
func TestWhatVanishedIsSignedAllTheSame(t *testing.T) {
	w := newWorld(t)
	w.record(9)
	w.exec("DELETE FROM entries WHERE seq = 5")
	must(t, w.notary.Finish(t.Context()))
	if outside := w.evidence().Outside; len(outside) != 1 || outside[0].Size != 9 {
		t.Errorf("published %+v: want all nine", outside)
	}
	if _, err := w.verify(); err == nil {
		t.Error("a record is gone and nobody misses it")
	}
}
