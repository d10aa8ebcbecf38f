package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/replay"
)

type policyReplayCmd struct {
	Policy string `help:"The policy document. Default: the policy in force, which must give every verdict that it gave; exit status 1 if not." placeholder:"FILE" type:"existingfile"`
	Since  moment `help:"From this time on: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or 7d or 24h for how long ago." default:"7d" placeholder:"TIME"`
	Until  moment `help:"Up to this time. Default: now." placeholder:"TIME"`
	User   string `help:"Only calls of this person."`
	Team   string `help:"Only calls of this team."`
	App    string `help:"Only calls of this app."`
	Rule   string `help:"Only calls that this rule decided or would decide, e.g. deviation.block."`
	Top    int    `help:"The most people and rules that a table lists; 0 lists all. JSON and YAML always do." default:"20"`
	Fail   int64  `help:"Exit status 3 if at least this many calls would be blocked that were not; 0 for never." name:"fail-on-new-blocks" default:"0" placeholder:"N"`
}

func (c policyReplayCmd) Run(s *session) error {
	if c.Top < 0 || c.Fail < 0 {
		return configError{errors.New("--top and --fail-on-new-blocks must not be negative")}
	}
	if until := time.Time(c.Until); !until.IsZero() && !until.After(time.Time(c.Since)) {
		return configError{errors.New("--until must be after --since")}
	}
	o, err := c.options(s)
	if err != nil {
		return err
	}
	var report *replay.Report
	err = s.withRecords(func(r read.Reader) error {
		report, err = replay.Run(s.ctx, r, o)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.print(s, report); err != nil {
		return err
	}
	return c.judge(s, report)
}

// judge says by the exit status what the report comes to.
func (c policyReplayCmd) judge(s *session, report *replay.Report) error {
	if n := report.Same.Differences; n > 0 {
		return fmt.Errorf("%d of %d verdicts recorded under policy %s are not what it decides on their facts: "+
			"the records were changed or Plumbline has a fault; see plumbline audit verify", n, report.Same.Records, report.Policy.Version)
	}
	if c.Fail > 0 && report.Total.NewlyBlocked >= c.Fail {
		fmt.Fprintf(s.talk, "%d calls would be blocked that were not; --fail-on-new-blocks is %d\n", report.Total.NewlyBlocked, c.Fail)
		return errProblems
	}
	return nil
}

func (c policyReplayCmd) options(s *session) (replay.Options, error) {
	o := replay.Options{
		Since: time.Time(c.Since), Until: time.Time(c.Until),
		Filter: replay.Filter{User: c.User, Team: c.Team, App: c.App, Rule: c.Rule},
	}
	cfg, _, err := s.config()
	if err != nil {
		return o, err
	}
	if o.InForce, err = s.policyInForce(); err != nil {
		return o, err
	}
	if o.Policy = o.InForce; c.Policy != "" {
		if o.Policy, err = s.policyOrInForce(c.Policy); err != nil {
			return o, err
		}
	}
	prices, err := app.LoadPrices(cfg.Prices)
	if err != nil {
		return o, configError{err}
	}
	o.Models = prices.Names()
	classifier, err := intent.Default()
	if err != nil {
		return o, err
	}
	scorer, err := s.scorer()
	if err != nil {
		return o, err
	}
	if o.Erased, err = s.erasedPeople(); err != nil {
		return o, err
	}
	o.IntentModel, o.DeviationModel = classifier.Version(), scorer.Version()
	return o, nil
}

func (c policyReplayCmd) print(s *session, report *replay.Report) error {
	for _, w := range report.Warnings {
		fmt.Fprintln(s.talk, "warning:", w)
	}
	if s.flags.Output != outputTable {
		return s.encode(report)
	}
	fmt.Fprint(s.out, replayHeadline(report))
	for _, t := range []section{transitionSection(report), ruleSection(report, c.Top), peopleSection(report, c.Top), restSection(report), differenceSection(report)} {
		if err := t.print(s); err != nil {
			return err
		}
	}
	return nil
}

// section is one of several tables. Without rows it is left out.
type section struct {
	header []string
	rows   [][]string
	after  string // a line that follows
}

func (t section) print(s *session) error {
	if len(t.rows) == 0 {
		return nil
	}
	fmt.Fprintln(s.out)
	if err := s.table(t.header, len(t.rows), func(i int) []string { return t.rows[i] }); err != nil {
		return err
	}
	_, err := io.WriteString(s.out, t.after)
	return err
}

// shorten keeps the first of the rows.
func (t section) shorten(most int, what string) section {
	if n := len(t.rows); most > 0 && n > most {
		t.rows = t.rows[:most]
		t.after = fmt.Sprintf("and %d more %s: --top 0\n", n-most, what)
	}
	return t
}

func replayHeadline(r *replay.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "policy %s, mode %s: %d of %d decisions replayed", r.Policy.Version, r.Policy.Mode, r.Replayed, r.Decisions)
	if !r.First.IsZero() {
		fmt.Fprintf(&b, ", of %s to %s UTC", r.First.UTC().Format(time.DateTime), r.Last.UTC().Format(time.DateTime))
	}
	fmt.Fprintf(&b, "\nverdicts that change: %d (%d newly blocked, %d no longer blocked)\n", r.Total.Changed, r.Total.NewlyBlocked, r.Total.NoLongerBlocked)
	fmt.Fprintf(&b, "decided under this very policy: %d, differences = %d\n", r.Same.Records, r.Same.Differences)
	return b.String()
}

// transitionSection lists what became what, and leaves out what stays.
func transitionSection(r *replay.Report) section {
	t := section{header: []string{"WHAT", "RECORDED", "WOULD BE", "CALLS"}}
	for _, l := range []struct {
		what string
		list []replay.Transition
	}{{"done", r.Applied}, {"decided", r.Decided}} {
		for _, x := range l.list {
			if x.Was != x.Would {
				t.rows = append(t.rows, []string{l.what, string(x.Was), string(x.Would), count(x.Calls)})
			}
		}
	}
	return t
}

func ruleSection(r *replay.Report, most int) section {
	t := section{header: []string{"RULE", "REASON", "RECORDED", "WOULD BE", "DIFFERENCE"}}
	for _, x := range r.Rules {
		t.rows = append(t.rows, append([]string{x.Rule, string(x.Reason)}, change(x.Was, x.Would)...))
	}
	return t.shorten(most, "rules")
}

func peopleSection(r *replay.Report, most int) section {
	t := section{header: []string{"WHO", "TEAM", "CALLS", "RECORDED", "WOULD BE", "DIFFERENCE"}}
	add := func(name, team string, tally replay.Tally) {
		t.rows = append(t.rows, append([]string{name, team, count(tally.Calls)}, change(tally.Was, tally.Would)...))
	}
	for _, p := range r.People {
		add(p.Name(), p.Team, p.Tally)
	}
	t = t.shorten(most, "people")
	if r.Erased != nil {
		add(fmt.Sprintf("(%d erased)", r.Erased.People), "", r.Erased.Tally)
	}
	if r.Others != nil {
		add("(others)", "", r.Others.Tally)
	}
	return t
}

// change is what was, what would have been, and the difference.
func change(was, would replay.Counts) []string {
	return []string{was.String(), would.String(), would.Less(was).Signed()}
}

// restSection lists what is not exact, and what was not replayed at all.
func restSection(r *replay.Report) section {
	t := section{header: []string{"NOTE", "ABOUT", "CALLS"}}
	add := func(note, about string, n int64) {
		if n > 0 {
			t.rows = append(t.rows, []string{note, about, count(n)})
		}
	}
	for _, x := range r.NotReplayed {
		add("not replayed: "+x.Cause.Words(), string(x.Reason), x.Calls)
	}
	add("approximate: passes now, and its limits were not asked", "", r.Approximate.Unasked)
	add("approximate: refused by a limit, which is kept as it was", "", r.Approximate.Limits)
	add("kept: refused, and not by the policy", "", r.Kept)
	add("ended when Plumbline died", "", r.Records.Crashed)
	for _, p := range r.Policies {
		if p.Version != r.Policy.Version {
			add("decided under another policy", p.Version, p.Calls)
		}
	}
	for _, m := range r.Models {
		add("replayed with stored scores that were made beside traffic", m.Version, m.Beside)
		if !m.Today {
			add("replayed with the stored scores of another "+m.Part+" model", m.Version, m.Calls)
		}
	}
	return t
}

func differenceSection(r *replay.Report) section {
	t := section{header: []string{"DIFFERENCE AT", "EXCHANGE", "RECORDED", "REPLAYED"}}
	for _, d := range r.Same.Examples {
		t.rows = append(t.rows, []string{d.Time.UTC().Format(time.DateTime), d.Exchange, verdictWords(d.Recorded), verdictWords(d.Replayed)})
	}
	if n := r.Same.Differences - int64(len(r.Same.Examples)); n > 0 {
		t.after = fmt.Sprintf("and %d more\n", n)
	}
	return t
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// verdictWords is a verdict on one line.
func verdictWords(v core.Verdict) string {
	words := string(v.Action)
	if v.Decided != v.Action {
		words += " (decided: " + string(v.Decided) + ")"
	}
	return strings.TrimSpace(words + " " + string(v.Reason) + " " + v.Rule)
}
