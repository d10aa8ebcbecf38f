package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/policycase"
	"github.com/plumbline/plumbline/internal/replay"
)

type policyCmd struct {
	Check  checkPolicyCmd  `cmd:"" help:"Check a policy document."`
	Test   policyCasesCmd  `cmd:"" help:"Run the cases of a policy document. Exit status 3 if one fails."`
	Schema policySchemaCmd `cmd:"" help:"Print the JSON Schema of policy documents, for editors."`
	Rules  policyRulesCmd  `cmd:"" help:"Show how often each rule objected to recorded traffic, and which never did."`
	Status policyStatusCmd `cmd:"" help:"Show which policy is in force, and what is wrong with a document that is not."`
	Replay policyReplayCmd `cmd:"" help:"Show what a policy would have done to recorded traffic, and to whom."`
	Apply  policyApplyCmd  `cmd:"" help:"Put a policy document in force, where no file is configured. Exit status 3 if it is wrong, or one of its cases fails."`
	List   policyListCmd   `cmd:"" name:"versions" help:"List the policies that came into force, with who and why."`
	Show   policyShowCmd   `cmd:"" help:"Print the document of a version."`
	Diff   policyDiffCmd   `cmd:"" help:"Show what one policy says otherwise than another. Exit status 3 if they differ."`
	Revert policyRevertCmd `cmd:"" help:"Put an earlier version in force again."`
}

type policyCasesCmd struct {
	File   string `arg:"" type:"existingfile" help:"The policy document."`
	Strict bool   `help:"Fail too where a rule of the document matches no case."`
}

func (c policyCasesCmd) Run(s *session) error {
	rules, err := app.LoadPolicy(c.File)
	if err != nil {
		return s.problems(err)
	}
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	report, err := s.runCases(cfg, rules)
	if err != nil {
		return err
	}
	if err := s.printCases(report); err != nil {
		return err
	}
	if report.Failed > 0 || c.Strict && len(report.NeverMatched) > 0 {
		return errProblems
	}
	return nil
}

func (s *session) runCases(cfg config.Config, rules *policy.Snapshot) (*policycase.Report, error) {
	judge, err := s.judge(cfg, rules)
	if err != nil {
		return nil, err
	}
	return policycase.Run(judge), nil
}

func (s *session) printCases(r *policycase.Report) error {
	if s.flags.Output != outputTable {
		return s.encode(r)
	}
	err := s.table([]string{"CASE", "", "WANT", "GOT", "INTENT", "DEVIATION"}, len(r.Cases), func(i int) []string {
		c := &r.Cases[i]
		passed := "ok"
		if !c.Passed {
			passed = "FAILED"
		}
		return []string{c.Name, passed, wantWords(c.Want), verdictWords(c.Verdict), c.Intent.Label, deviationWords(c)}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "%d of %d cases passed under policy %s, mode %s\n", r.Passed, len(r.Cases), r.Policy.Version, r.Policy.Mode)
	for _, c := range r.Cases {
		for _, rule := range c.Unanswered {
			fmt.Fprintf(s.talk, "the condition of %s could not be answered for %s\n", rule, c.Name)
		}
	}
	for _, rule := range r.NeverMatched {
		fmt.Fprintln(s.talk, "no case is matched by", rule)
	}
	return nil
}

func wantWords(e policycase.Expected) string {
	words := string(e.Verdict)
	if e.Action != "" && e.Action != e.Verdict {
		words = string(e.Action) + " (decided: " + words + ")"
	}
	return strings.TrimSpace(words + " " + e.Rule)
}

func deviationWords(c *policycase.Result) string {
	if u := c.Deviation.Unscored; u != "" {
		return string(u)
	}
	return fmt.Sprintf("%.3f %s", c.Deviation.Score, c.Deviation.Task)
}

type policySchemaCmd struct{}

func (policySchemaCmd) Run(s *session) error {
	schema, err := policy.Schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", schema)
	return err
}

type policyRulesCmd struct {
	Policy string `help:"The policy document. Default: the policy in force." placeholder:"FILE" type:"existingfile"`
	Since  moment `help:"From this time on, or how long ago: 7d, 24h." default:"7d" placeholder:"TIME"`
	Until  moment `help:"Up to this time. Default: now." placeholder:"TIME"`
}

func (c policyRulesCmd) Run(s *session) error {
	rules, err := s.policyOrInForce(c.Policy)
	if err != nil {
		return err
	}
	var m *replay.Matches
	err = s.withRecords(func(r read.Reader) error {
		m, err = replay.CountMatches(s.ctx, r, rules, time.Time(c.Since), time.Time(c.Until))
		return err
	})
	if err != nil {
		return err
	}
	if err := s.printOne(m, []string{"RULE", "CALLS", "LAST"}, len(m.Rules), func(i int) []string {
		r := m.Rules[i]
		last := "never"
		if r.Calls > 0 {
			last = when(r.Last)
		}
		return []string{r.Rule, count(r.Calls), last}
	}); err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "%d decisions looked at, %d without facts\n", m.Decisions, m.Skipped)
	return nil
}

// policyOrInForce gives the policy of a document, or the one in force for none. What is wrong with a document is said as
// plumbline policy check says it.
func (s *session) policyOrInForce(path string) (*policy.Snapshot, error) {
	if path == "" {
		return s.policyInForce()
	}
	rules, err := app.LoadPolicy(path)
	if err != nil {
		return nil, s.problems(err)
	}
	return rules, nil
}

type policyStatusCmd struct{}

func (policyStatusCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	status, err := app.AskPolicy(s.ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	err = s.printOne(status, []string{"POLICY", "NUMBER", "MODE", "SINCE", "FROM"}, 1, func(int) []string {
		return []string{status.Version, policyNumber(status.Number), status.Mode, when(status.Since), policySource(status)}
	})
	if err != nil || len(status.Problems) == 0 {
		return err
	}
	fmt.Fprintf(s.talk, "since %s the document cannot be put in force, and this one stays:\n%s\n", when(status.Broken), strings.Join(status.Problems, "\n"))
	return errProblems
}
