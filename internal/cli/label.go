package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

type labelCmd struct {
	Next     labelNextCmd     `cmd:"" help:"Say of prompts that were drawn at random whether they are on their person's task."`
	List     labelListCmd     `cmd:"" help:"List labels, without prompts."`
	Approve  labelApproveCmd  `cmd:"" help:"Answer for the label of somebody else."`
	Withdraw labelWithdrawCmd `cmd:"" help:"Take a label back."`
}

type labelNextCmd struct {
	Reason string `help:"Why you look at prompts. It is recorded with each, with your name, before it is shown." required:"" placeholder:"WORDS"`
	Answer string `help:"Answer for the next prompt, without asking: on-task, off-task, or show to say nothing." enum:"ask,on-task,off-task,show" default:"ask" placeholder:"ANSWER"`
}

// The answers of a person at a terminal.
const (
	keyOn   = 'y'
	keyOff  = 'n'
	keySkip = 's'
	keyQuit = 'q'

	ctrlC = 3
)

func (c labelNextCmd) Run(s *session) error {
	if err := store.CheckReason(c.Reason); err != nil {
		return configError{err}
	}
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	scorer, err := s.scorer()
	if err != nil {
		return err
	}
	return s.withRecords(func(records read.Reader) error {
		return s.withStore(func(st store.Store) error {
			s.ctx = store.WithReason(s.ctx, c.Reason)
			of := func(ctx context.Context, exchange string) ([]core.Record, error) {
				return app.RecordsOf(ctx, records, exchange)
			}
			l, err := app.NewLabelling(s.ctx, st, scorer.Version(), masters, of, actor())
			if err != nil {
				return err
			}
			asking := asking{session: s, labelling: l}
			if c.Answer != "ask" {
				err = c.one(&asking, st)
			} else {
				err = c.ask(&asking, st)
			}
			if asking.passed > 0 {
				fmt.Fprintf(s.talk, "prompts that could not be read and were passed over: %d\n", asking.passed)
			}
			return err
		})
	})
}

// asking asks one person about samples.
type asking struct {
	*session
	labelling *app.Labelling
	passed    int // samples that could not be read
}

// next gives the next sample to ask about, nil for none, and tells of those before it that cannot be read.
func (a *asking) next() (*app.Question, error) {
	q, passed, err := a.labelling.Next(a.ctx)
	for _, p := range passed {
		fmt.Fprintf(a.talk, "%s is passed over: %s\n", printable(p.Exchange), printable(p.Why.Error()))
	}
	a.passed += len(passed)
	return q, err
}

// errNothingToLabel is a state and no failure, which a script has to tell from an answer.
var errNothingToLabel = errors.New("no prompt waits to be labelled: audit.calibration_sample says how many are drawn")

// one shows the next prompt and answers it as it was told to.
func (c labelNextCmd) one(s *asking, st store.Store) error {
	q, err := s.next()
	switch {
	case err != nil:
		return err
	case q == nil:
		return errNothingToLabel
	}
	if err := s.question(st, q); err != nil || c.Answer == "show" {
		return err
	}
	answers, err := s.answers()
	if err != nil {
		return err
	}
	err = s.labelling.Answer(s.ctx, q, c.Answer == "on-task", answers)
	return s.done(err, "%s is labelled %s%s", q.Exchange, c.Answer, counted(answers))
}

func counted(answers bool) string {
	if answers {
		return ""
	}
	return "; it counts once somebody of calibration.admins approves it"
}

// ask goes on until there is nothing more to ask about, or the person has enough.
func (c labelNextCmd) ask(s *asking, st store.Store) error {
	answers, err := s.answers()
	if err != nil {
		return err
	}
	keys := s.keys()
	for {
		q, err := s.next()
		if err != nil {
			return err
		}
		if q == nil {
			fmt.Fprintln(s.talk, "No prompt waits to be labelled.")
			return nil
		}
		if err := s.question(st, q); err != nil {
			return err
		}
		switch key := s.answer(keys); key {
		case keyOn, keyOff:
			if err := s.labelling.Answer(s.ctx, q, key == keyOn, answers); err != nil {
				return err
			}
		case keySkip:
		case keyQuit:
			return nil
		}
	}
}

// question shows a prompt, and how far it is until a promise holds. It does not show the score: who knows it agrees with it.
func (s *session) question(st store.Store, q *app.Question) error {
	if s.flags.Output != outputTable {
		return s.encode(q)
	}
	status, err := s.calibrationStatus(st)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\n%s, %s\n", q.Exchange, when(q.Drawn))
	fmt.Fprintf(s.out, "  asked by %s, nearest task %s: %s\n", printable(q.Who.Name()), q.Task, printable(q.Assigned.Title))
	for line := range strings.Lines(q.Assigned.Description) {
		fmt.Fprintf(s.out, "    %s\n", printable(strings.TrimRight(line, "\r\n")))
	}
	if len(q.Assigned.Topics) > 0 {
		fmt.Fprintf(s.out, "    covers: %s\n", printable(strings.Join(q.Assigned.Topics, ", ")))
	}
	s.revealText("prompt", q.Prompt)
	if q.Proposal != "" {
		fmt.Fprintf(s.out, "  %s proposes %s, which is no label: %s\n", printable(q.Judge), q.Proposal, cmp.Or(printable(q.Rationale), "it does not say why"))
	}
	fmt.Fprintf(s.talk, "%d of %d\n", status.Labels.OnTask, status.Needed)
	return nil
}

// keys gives the next key that the person presses: at a terminal the key alone, else the first letter of a line.
func (s *session) keys() func() (rune, error) {
	lines := bufio.NewReader(s.in)
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() (rune, error) {
			line, err := lines.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" {
				return []rune(line)[0], nil
			}
			return 0, err
		}
	}
	return func() (rune, error) {
		fd := int(f.Fd())
		was, err := term.MakeRaw(fd)
		if err != nil {
			return 0, err
		}
		var key [1]byte
		_, err = f.Read(key[:])
		if back := term.Restore(fd, was); err == nil {
			err = back
		}
		if key[0] == ctrlC { // Ctrl-C is a key while the terminal is raw
			return keyQuit, err
		}
		return rune(key[0]), err
	}
}

// answer waits for a key that says something. The end of the input is to quit.
func (s *session) answer(keys func() (rune, error)) rune {
	for {
		fmt.Fprint(s.talk, "On their task? [y]es, [n]o, [s]kip, [q]uit ")
		key, err := keys()
		fmt.Fprintln(s.talk)
		switch {
		case err != nil:
			return keyQuit
		case slices.Contains([]rune{keyOn, keyOff, keySkip, keyQuit}, key):
			return key
		}
	}
}

// answers reports whether who runs the command answers for their labels themselves.
func (s *session) answers() (bool, error) {
	cfg, _, err := s.config()
	return slices.Contains(cfg.Calibration.Admins, actor()), err
}

// mustAnswer refuses what only those may do who answer for labels.
func (s *session) mustAnswer() error {
	answers, err := s.answers()
	if err == nil && !answers {
		err = configError{fmt.Errorf("%s is not in calibration.admins, who answer for labels", actor())}
	}
	return err
}

type labelListCmd struct {
	Pending bool `help:"Only those that nobody answers for yet."`
}

func (c labelListCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		all, err := store.AllLabels(s.ctx, st.Labels(), time.Time{})
		if err != nil {
			return err
		}
		if c.Pending {
			all = slices.DeleteFunc(all, func(l core.Label) bool { return l.Approved != "" })
		}
		return s.print(all, []string{"EXCHANGE", "BY", "ON TASK", "LABELLED", "APPROVED", "TASK", "SCORE"}, func(i int) []string {
			l := all[i]
			return []string{l.Exchange, l.By, fmt.Sprint(l.OnTask), when(l.At), l.Approved, l.Task, fmt.Sprintf("%.3f", l.Score)}
		})
	})
}

// labelOf names somebody's label, and why it is changed.
type labelOf struct {
	Exchange string `arg:"" help:"The exchange of the prompt, as label list shows it."`
	By       string `help:"Who labelled it." required:"" placeholder:"NAME"`
	Reason   string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

type labelApproveCmd struct {
	labelOf
	Says string `help:"What they said of it, as you saw it: on-task or off-task. A label that says otherwise by now is not approved." enum:"on-task,off-task" required:"" placeholder:"ANSWER"`
}

func (c labelApproveCmd) Run(s *session) error {
	return s.answering(c.Reason, func(st store.Store) error {
		err := app.Approve(s.ctx, st, c.Exchange, c.By, c.Says == "on-task", actor())
		return s.done(err, "%s answers for what %s said of %s: %s", actor(), c.By, c.Exchange, c.Says)
	})
}

type labelWithdrawCmd struct{ labelOf }

func (c labelWithdrawCmd) Run(s *session) error {
	return s.answering(c.Reason, func(st store.Store) error {
		return s.done(st.Labels().Withdraw(s.ctx, c.Exchange, c.By), "what %s said of %s is taken back", c.By, c.Exchange)
	})
}

// answering makes a change that only those may make who answer for labels.
func (s *session) answering(reason string, change func(store.Store) error) error {
	if err := store.CheckReason(reason); err != nil {
		return configError{err}
	}
	if err := s.mustAnswer(); err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		s.ctx = store.WithReason(s.ctx, reason)
		return change(st)
	})
}

type calibCmd struct {
	Status calibrationStatusCmd `cmd:"" help:"What is promised, what backs it, and what was realised."`
	Make   calibrationMakeCmd   `cmd:"" help:"Put a calibration in force of what is labelled by now."`
}

type calibrationStatusCmd struct{}

func (calibrationStatusCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		status, err := s.calibrationStatus(st)
		if err != nil {
			return err
		}
		s.countBlocked(&status)
		if s.flags.Output == outputTable {
			s.sayCalibration(status)
		}
		return s.printOne(status, []string{"TASK", "BEHIND IT", "LABELLED ON TASK", "PROMISED ALONE"}, len(status.Tasks), func(i int) []string {
			t := status.Tasks[i]
			return []string{t.Task, fmt.Sprint(t.N), fmt.Sprint(t.Labelled), fmt.Sprint(t.Own)}
		})
	})
}

// countBlocked adds how many calls were blocked since, if the records can be read.
func (s *session) countBlocked(c *app.CalibrationStatus) {
	if c.Version == "" {
		return
	}
	err := s.withRecords(func(r read.Reader) error {
		n, err := app.BlockedSince(s.ctx, r, c.Created)
		if err == nil {
			c.Blocked = &n
		}
		return err
	})
	if err != nil {
		fmt.Fprintln(s.talk, "blocked calls cannot be counted:", err)
	}
}

// calibrationStatus is how far the deployment is under the promise of its policy.
func (s *session) calibrationStatus(st store.Store) (app.CalibrationStatus, error) {
	cfg, _, err := s.config()
	if err != nil {
		return app.CalibrationStatus{}, err
	}
	rules, err := app.PolicyInForce(s.ctx, cfg, st)
	if err != nil {
		return app.CalibrationStatus{}, configError{err}
	}
	scorer, err := s.scorer()
	if err != nil {
		return app.CalibrationStatus{}, err
	}
	return app.StatusOfCalibration(s.ctx, st, scorer.Version(), rules.Promise())
}

func (s *session) sayCalibration(c app.CalibrationStatus) {
	l := c.Labels
	fmt.Fprintf(s.out, "promise:   at most %.4g %% of prompts on task are blocked for their deviation\n", 100*c.Promise)
	fmt.Fprintf(s.out, "labelled:  %d of %d on task, %d off task; %d wait for approval, %d are disputed, %d do not count any more\n",
		l.OnTask, c.Needed, l.OffTask, l.Pending, l.Disputed, l.Stale)
	switch {
	case c.Version == "":
		fmt.Fprintln(s.out, "in force:  nothing: a score warns at most")
	case !c.Demoted.IsZero():
		fmt.Fprintf(s.out, "in force:  %s, demoted on %s: it blocked more than twice what was promised, and a score warns at most\n", c.Version, when(c.Demoted))
	case !c.Enforced:
		fmt.Fprintf(s.out, "in force:  %s, with %d of %d prompts since tasks or the model changed: a score warns at most\n", c.Version, c.N, c.Needed)
	default:
		fmt.Fprintf(s.out, "in force:  %s of %s, with %d prompts: of them the farthest %d may be blocked\n", c.Version, when(c.Created), c.N, calibrate.Most(c.Promise, c.N))
	}
	if r := c.Realised; r.OnTask > 0 {
		fmt.Fprintf(s.out, "realised:  %d of %d later prompts on task are blocked: %.2f %% (95 %% interval: %.2f to %.2f %%); of those off task, %d of %d\n",
			r.Wrong, r.OnTask, 100*c.Share, 100*c.Low, 100*c.High, r.Right, r.OffTask)
	} else if c.Version != "" {
		fmt.Fprintln(s.out, "realised:  not known: no prompt on task was drawn and labelled since")
	}
	if c.Blocked != nil {
		more := ""
		if *c.Blocked == app.MostCounted {
			more = " or more"
		}
		fmt.Fprintf(s.out, "blocked:   %d%s calls for their deviation since then\n", *c.Blocked, more)
	}
	for _, a := range c.Judges {
		fmt.Fprintf(s.out, "judge:     people said what %s proposed of %d of %d prompts: %.1f %% (95 %% interval: %.1f to %.1f %%)\n",
			printable(a.Judge), a.Agreed, a.N, 100*a.Share, 100*a.Low, 100*a.High)
	}
}

type calibrationMakeCmd struct {
	Reason string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c calibrationMakeCmd) Run(s *session) error {
	return s.answering(c.Reason, func(st store.Store) error {
		status, err := s.calibrationStatus(st)
		if err != nil {
			return err
		}
		made, err := app.MakeCalibration(s.ctx, st, status.Model, status.Promise, time.Now())
		return s.done(err, "%s is in force, of %d prompts on task", made.ID, made.N())
	})
}
