package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

// policyInForce gives the policy that a process under this configuration has in force.
func (s *session) policyInForce() (rules *policy.Snapshot, err error) {
	cfg, _, err := s.config()
	if err != nil {
		return nil, err
	}
	if cfg.Policy.File != "" { // without a look into the store
		if rules, err = app.LoadPolicy(cfg.Policy.File); err != nil {
			return nil, configError{err}
		}
		return rules, nil
	}
	err = s.withStore(func(st store.Store) error {
		rules, err = app.PolicyInForce(s.ctx, cfg, st)
		return err
	})
	return rules, err
}

// policySource says where the policy in force is from.
func policySource(status app.PolicyStatus) string {
	switch {
	case status.File != "":
		return status.File
	case status.Number != 0:
		return "(store)"
	default:
		return "(built in)"
	}
}

func policyNumber(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

type policyApplyCmd struct {
	File   string `arg:"" type:"existingfile" help:"The policy document."`
	Reason string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c policyApplyCmd) Run(s *session) error {
	cfg, _, err := s.config()
	switch {
	case err != nil:
		return err
	case cfg.Policy.File != "":
		return configError{app.ErrPolicyFile}
	}
	if err := store.CheckReason(c.Reason); err != nil {
		return configError{err}
	}
	rules, text, err := app.ReadPolicy(c.File)
	if err != nil {
		return s.problems(err)
	}
	report, err := s.runCases(cfg, rules)
	if err != nil {
		return err
	}
	if report.Failed > 0 {
		if err := s.printCases(report); err != nil {
			return err
		}
		fmt.Fprintln(s.talk, "nothing is changed: a case fails")
		return errProblems
	}
	return s.withStore(func(st store.Store) error {
		s.ctx = store.WithReason(s.ctx, c.Reason)
		kept, changed, err := app.ApplyPolicy(s.ctx, cfg, st, rules, text)
		if err != nil {
			return err
		}
		return s.sayApplied(kept, changed)
	})
}

// sayApplied says what is in force from now on. The document was given, or can be shown.
func (s *session) sayApplied(p core.PolicyVersion, changed bool) error {
	p.Text = ""
	if !changed {
		return s.say(p, "nothing is changed: policy %s is in force already, as number %d", p.Version, p.Number)
	}
	return s.say(p, "policy %s is in force as number %d, on every replica within a second", p.Version, p.Number)
}

type policyListCmd struct{}

func (policyListCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		list, err := st.Policies().List(s.ctx)
		if err != nil {
			return err
		}
		return s.print(list, []string{"NUMBER", "POLICY", "SINCE", "BY", "RESTORES", "REASON"}, func(i int) []string {
			p := &list[i]
			return []string{policyNumber(p.Number), p.Version, when(p.Created), p.Author, policyNumber(p.Restores), p.Reason}
		})
	})
}

type policyShowCmd struct {
	Version string `arg:"" help:"Its number, or the version that records name."`
}

func (c policyShowCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		p, err := app.FindPolicy(s.ctx, st, c.Version)
		if err != nil {
			return err
		}
		if s.flags.Output != outputTable {
			return s.encode(p)
		}
		_, err = io.WriteString(s.out, p.Text)
		return err
	})
}

type policyRevertCmd struct {
	Version string `arg:"" help:"Its number, or the version that records name."`
	Reason  string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c policyRevertCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		s.ctx = store.WithReason(s.ctx, c.Reason)
		old, err := app.FindPolicy(s.ctx, st, strings.TrimSpace(c.Version))
		if err != nil {
			return err
		}
		kept, changed, err := app.RevertPolicy(s.ctx, cfg, st, old)
		switch {
		case errors.Is(err, app.ErrPolicyFile), errors.Is(err, store.ErrInvalid):
			return configError{err}
		case err != nil:
			return err
		}
		return s.sayApplied(kept, changed)
	})
}
