package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
)

func TestRepairWithoutALedger(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--dry-run"}, exitFailed, "no Plumbline runs on this data directory"},
		{[]string{"--dry-run", "--records", dir}, exitFailed, "there is no log yet"},
		{[]string{"--records", dir}, exitUsage, "goes with --dry-run"},
		{[]string{"--set", "quota.ledger=redis", "--set", "redis.addresses=127.0.0.1:1"}, exitUsage, "say --yes"},
		{[]string{"--set", "quota.ledger=redis", "--set", "redis.addresses=127.0.0.1:1", "--yes"}, exitFailed, "where a replica runs"},
	} {
		out, talk, code := plumblineReading(t, "yes\n", nil, append([]string{"quota", "repair", "--set", "data_dir=" + dir}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(talk, c.want) {
			t.Errorf("%v: status %d, %q, want %d and %q", c.args, code, talk, c.code, c.want)
		}
	}
}

func TestStatusOfAComparison(t *testing.T) {
	for err, want := range map[error]int{errDrift: 1, errPartial: 2, fmt.Errorf("so: %w", errPartial): 2, errors.New("x"): exitFailed} {
		if got := (&session{talk: new(strings.Builder)}).status(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestWordsOfDifferences(t *testing.T) {
	row := drift.Row{Dimension: quota.DimensionCost, State: drift.StateInFlight, InFlight: 250_000, Younger: true}
	got := differenceCells(row.Dimension, 1_000_000, 1_750_000, -750_000, stateWords(&row))
	if want := "[$1.000000 $1.750000 -$0.750000 in flight, up to $0.250000, since the limit was made]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got := differenceCells(quota.DimensionTokens, 2000, 300, 1700, ""); got[2] != "+1,700" {
		t.Errorf("%v", got)
	}
}
