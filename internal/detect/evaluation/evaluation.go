// Package evaluation measures package detect on public data: false alarms on ordinary prompts, and how many attacks are found,
// by source. The data is read from a folder and no part of the program; its README says where it comes from.
package evaluation

import (
	"fmt"
	"math"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
)

// Row is what was found in the prompts of one source.
type Row struct {
	Source  string `json:"source"`
	Prompts int    `json:"prompts"`
	// Attacks and Secrets are prompts in which one was found, Blocked those that a policy blocks that enforces the defaults.
	Attacks int `json:"attacks"`
	Secrets int `json:"secrets"`
	Blocked int `json:"blocked"`
	// Forms counts prompts by form of attack.
	Forms map[string]int `json:"forms,omitempty"`
}

// Report is a measurement.
type Report struct {
	Rules string `json:"rules"`
	// Ordinary are sources of prompts that are no attack and hold no secret, Lookalikes prompts that are about harm and are to
	// pass, Attacks sources of attacks.
	Ordinary   []Row `json:"ordinary"`
	Lookalikes []Row `json:"lookalikes"`
	Attacks    []Row `json:"attacks"`
	// Heads is what a linear model alone tells apart.
	Heads *Heads `json:"heads"`
}

// Run measures on the data in a folder, which holds intent/ and sentences/.
func Run(dir string) (*Report, error) {
	enforced, err := policy.Parse("defaults", []byte("version: 1\nmode: enforce\n"))
	if err != nil {
		return nil, err
	}
	classifier, err := intent.Default()
	if err != nil {
		return nil, err
	}
	r := &Report{Rules: detect.Rules}
	for _, group := range [...]struct {
		into    *[]Row
		sources []source
	}{{&r.Ordinary, ordinary}, {&r.Lookalikes, lookalikes}, {&r.Attacks, attacks}} {
		for _, s := range group.sources {
			prompts, err := s.read(dir)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			*group.into = append(*group.into, measure(s.name, prompts, enforced, classifier))
		}
	}
	r.Heads, err = measureHeads(dir)
	return r, err
}

func measure(name string, prompts []string, p *policy.Snapshot, c *intent.Classifier) Row {
	row := Row{Source: name, Prompts: len(prompts), Forms: map[string]int{}}
	for _, text := range prompts {
		prompt := core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}}
		found := detect.Prompt(prompt)
		if len(found.Attacks) > 0 {
			row.Attacks++
		}
		if len(found.Secrets) > 0 {
			row.Secrets++
		}
		for _, s := range found.Attacks {
			row.Forms[s.Kind]++
		}
		facts := policy.Facts{Found: found, Intent: c.Classify(intent.NewView(prompt))}
		facts.Deviation.Unscored = core.UnscoredNoTask
		if p.Decide(facts).Blocked() {
			row.Blocked++
		}
	}
	return row
}

// Sum adds up rows.
func Sum(name string, rows []Row) Row {
	sum := Row{Source: name, Forms: map[string]int{}}
	for _, r := range rows {
		sum.Prompts += r.Prompts
		sum.Attacks += r.Attacks
		sum.Secrets += r.Secrets
		sum.Blocked += r.Blocked
		for form, n := range r.Forms {
			sum.Forms[form] += n
		}
	}
	return sum
}

// Share is k of n in percent with its standard error, of which the greatest is taken where k is 0 or n: the rule of three says
// that the true share is then below 3/n with 95 % confidence.
func Share(k, n int) string {
	if n == 0 {
		return "–"
	}
	p := float64(k) / float64(n)
	if k == 0 || k == n {
		return fmt.Sprintf("%.1f %% (± %.1f)", 100*p, math.Min(100, 300/float64(n)))
	}
	return fmt.Sprintf("%.1f %% ± %.1f", 100*p, 100*math.Sqrt(p*(1-p)/float64(n)))
}

const headOfPage = `# Evaluation of the rules on secrets and attacks

<!-- Generated: go test ./internal/detect/evaluation -run Reference -update -->

What package ` + "`detect`" + ` finds in public data, one user message each. ` + "`plumbline eval attack --data ../shared/data`" + ` measures
again, with ` + "`-o json`" + ` for programs. The data is not part of the sources; the folder's README names the origins and licences.

The rules learn nothing from data; a learnt head adds points, see below. Words and phrases were chosen by hand before the
first measurement; the beginnings of the DAN texts and of three jailbreaks in the wild had been read by then. Words were taken
out later that gave false alarms in the sources of Go and of Python's packages; none was put in. A share has its standard
error, and where nothing or all was found the bound of the rule of three in brackets.

`

// Page is the page of a report in Markdown.
func (r *Report) Page() []byte {
	var b strings.Builder
	b.WriteString(headOfPage)
	fmt.Fprintf(&b, "Rules: `%s`.\n\n## False alarms on ordinary prompts\n\n", r.Rules)
	b.WriteString("| source | prompts | attack found | secret found |\n|---|---|---|---|\n")
	for _, row := range append(r.Ordinary, Sum("**all**", r.Ordinary)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", row.Source, row.Prompts, row.Attacks, row.Secrets)
	}
	b.WriteString("\n## Prompts that only sound harmful\n\nBlocked: by the default policy in the mode `enforce`, of somebody without a task, whatever intent is told.\n\n| source | prompts | attack found | blocked |\n|---|---|---|---|\n")
	for _, row := range r.Lookalikes {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", row.Source, row.Prompts, row.Attacks, row.Blocked)
	}
	all := Sum("", r.Ordinary)
	fmt.Fprintf(&b, "\n## Attacks found\n\nAt the false alarms above: %d of %d ordinary prompts.\n\n| source | prompts | found | share | forms |\n|---|---|---|---|---|\n", all.Attacks, all.Prompts)
	for _, row := range r.Attacks {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s |\n", row.Source, row.Prompts, row.Attacks, Share(row.Attacks, row.Prompts), formsOf(row))
	}
	b.WriteString(tail)
	r.Heads.write(&b)
	return []byte(b.String())
}

func formsOf(row Row) string {
	var parts []string
	for _, form := range detect.Forms() {
		if n := row.Forms[form]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", form, n))
		}
	}
	return strings.Join(parts, ", ")
}

const tail = `
BIPIA's attacks are plain requests that stand in the wrong place, in an e-mail or a table, with no form by which a rule could
tell them: the rules are no protection against them. Many jailbreaks in the wild are stories or parts to play without a word
about rules; those are not found either.
`
