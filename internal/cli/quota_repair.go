package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/store"
)

type quotaCmd struct {
	Repair quotaRepairCmd `cmd:"" help:"Compare what the quota ledger has counted with the records, and mend it by them. With --dry-run, exit status 1 says that they differ, 2 that records of some replicas are missing."`
}

type quotaRepairCmd struct {
	DryRun  bool     `help:"Only compare." name:"dry-run"`
	Records []string `help:"Data directory of another replica on the same shared ledger; may be given several times." placeholder:"DIR" sep:"none"`
	Yes     bool     `help:"Do not ask before the shared ledger is filled anew."`
}

// exitError ends a command, which has said why, with a status of its own.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// The ends of a comparison that has something to say.
const (
	errDrift   exitError = 1
	errPartial exitError = 2
)

func (c quotaRepairCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	if len(c.Records) > 0 && !c.DryRun {
		return configError{errors.New("--records goes with --dry-run: a repair reads no records of others, each replica brings back its own")}
	}
	return s.withStore(func(st store.Store) error {
		repair, err := app.NewQuotaRepair(s.ctx, st, cfg, actor())
		if err != nil {
			return err
		}
		if !c.DryRun && cfg.Quota.Ledger == config.LedgerRedis {
			return c.refill(s, repair)
		}
		d, err := repair.Compare(s.ctx, c.Records)
		if err != nil {
			return err
		}
		if err := c.show(s, d); err != nil {
			return err
		}
		if !c.DryRun {
			return c.mend(s, repair, d)
		}
		switch {
		case d.Partial:
			return errPartial
		case d.Drift > 0:
			return errDrift
		}
		return nil
	})
}

// show prints what was compared.
func (c quotaRepairCmd) show(s *session, d *app.QuotaDrift) error {
	header := []string{"LIMIT", "FOR", "WINDOW", "SINCE", "LEDGER", "RECORDS", "DIFFERENCE", "STATE"}
	rows := d.Counters
	err := s.printOne(d, header, len(rows)+len(d.Totals), func(i int) []string {
		if i >= len(rows) {
			t := &d.Totals[i-len(rows)]
			return append([]string{"total", string(t.Dimension), "", ""}, differenceCells(t.Dimension, t.Ledger, t.Records, t.Difference, "")...)
		}
		r := &rows[i]
		since := "60 s"
		if !r.Since.IsZero() {
			since = when(r.Since)
		}
		return append([]string{r.Limit, r.For, string(r.Window), since}, differenceCells(r.Dimension, r.Ledger, r.Records, r.Difference, stateWords(r))...)
	})
	if err != nil {
		return err
	}
	for _, b := range d.Missing() {
		fmt.Fprintf(s.talk, "the records of replica %s were not read: name its data directory with --records\n", b.Name)
	}
	for _, b := range d.Books {
		if b.Path != "" && !b.Joined {
			fmt.Fprintf(s.talk, "the ledger does not count by the records in %s: their replica has not been there since it was filled\n", b.Path)
		}
	}
	if d.Strays > 0 {
		fmt.Fprintf(s.talk, "%s ended by their lease with no record\n", plural(d.Strays, "reservation was", "reservations were"))
	}
	summary := fmt.Sprintf("%s, %d with a difference", plural(len(rows), "counter", "counters"), d.Drift)
	if d.InFlight > 0 {
		summary += fmt.Sprintf(", %d with calls in flight whenever they were read", d.InFlight)
	}
	if d.Partial {
		summary += "; this comparison is PARTIAL"
	}
	fmt.Fprintln(s.talk, summary)
	return nil
}

func differenceCells(d quota.Dimension, ledger, records, difference int64, state string) []string {
	sign := ""
	switch {
	case difference > 0:
		sign = "+"
	case difference < 0:
		sign, difference = "-", -difference
	}
	return []string{d.Figure(ledger), d.Figure(records), sign + d.Figure(difference), state}
}

func stateWords(r *drift.Row) string {
	words := map[drift.State]string{
		drift.StateAgrees: "agrees", drift.StateDrift: "DRIFT",
		drift.StateInFlight: "in flight, up to " + r.Dimension.Figure(r.InFlight),
	}[r.State]
	if r.Younger {
		words += ", since the limit was made"
	}
	return words
}

// mend takes the differences out of the ledger of the process that serves.
func (c quotaRepairCmd) mend(s *session, repair *app.QuotaRepair, d *app.QuotaDrift) error {
	if d.Drift == 0 {
		fmt.Fprintln(s.talk, "nothing to mend")
		return nil
	}
	n, err := repair.MendRunning(s.ctx, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "%s mended by the records\n", plural(n, "counter was", "counters were"))
	if n < d.Drift {
		fmt.Fprintln(s.talk, "the others are of the last minute, and pass with it")
	}
	return nil
}

// refill has all replicas bring their records back to the shared ledger.
func (c quotaRepairCmd) refill(s *session, repair *app.QuotaRepair) error {
	fmt.Fprintf(s.talk, "The shared ledger is emptied, and every replica that runs fills it from its records. Until all have, %s at most,\n"+
		"each limit does what it does without the ledger: money is closed. The charges of replicas that do not run are missing\n"+
		"until they do. See first with --dry-run whether it is needed.\n", app.RebuildTime)
	if !c.Yes {
		if err := s.confirm("Fill it anew?"); err != nil {
			return err
		}
	}
	n, err := repair.BeginEpoch(s.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "begun: %s its records back\n", plural(n, "replica brings", "replicas bring"))
	return nil
}

// confirm asks the person at the terminal. Without one the answer is no.
func (s *session) confirm(question string) error {
	if f, ok := s.in.(*os.File); !ok || !isTerminal(f) {
		return configError{errors.New("nobody is there to confirm it: say --yes")}
	}
	fmt.Fprintf(s.talk, "%s [yes/no] ", question)
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return errors.New("not confirmed: nothing was changed")
	}
	return nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
