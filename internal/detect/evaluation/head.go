package evaluation

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

// passing is the share of ordinary prompts that a head may take for attacks in these figures.
const passing = 0.01

// HeadRow is what heads alone, without any rule, tell of one source of attacks, at a margin that 1 % of ordinary prompts reach.
type HeadRow struct {
	Source  string `json:"source"`
	Prompts int    `json:"prompts"`
	// Shipped are the prompts that the shipped head finds, which has learnt none of these sources; LeftOut those that a head
	// finds which learnt the other sources and not this one; Within those that heads find which learnt the source too, but
	// never the prompt.
	Shipped int `json:"shipped"`
	LeftOut int `json:"left_out"`
	Within  int `json:"within"`
}

// AlarmRow is how many prompts of one source of others reach the margin of the shipped head.
type AlarmRow struct {
	Source  string `json:"source"`
	Prompts int    `json:"prompts"`
	Alarms  int    `json:"alarms"`
}

// Heads measures heads on attacks.
type Heads struct {
	Sources []HeadRow  `json:"sources"`
	Alarms  []AlarmRow `json:"alarms"`
}

// unlearnt are the sources of ordinary prompts of which the shipped head has learnt nothing.
var unlearnt = []string{
	"self-instruct, user-oriented", "GSM8K", "HumanEval", "MT-Bench", "BIPIA, carrier e-mails", "sentences: HWU",
}

// texts are the rows of each prompt of a source.
type texts struct {
	name string
	of   []string
	rows [][]uint32
}

func readTexts(dir string, s source) (texts, error) {
	of, err := s.read(dir)
	if err != nil {
		return texts{}, fmt.Errorf("%s: %w", s.name, err)
	}
	t := texts{s.name, of, make([][]uint32, len(of))}
	for i, text := range of {
		t.rows[i] = detect.AppendHeadRows(nil, text)
	}
	return t, nil
}

// measureHeads measures the shipped head, and heads that are learnt here for the purpose. Encoded copies of a source are left
// out: whoever leaves out one would learn the other.
func measureHeads(dir string) (*Heads, error) {
	var others, bad []texts
	for _, s := range ordinary {
		t, err := readTexts(dir, s)
		if err != nil {
			return nil, err
		}
		others = append(others, t)
	}
	for _, s := range attacks {
		if strings.Contains(s.name, "base64") {
			continue
		}
		t, err := readTexts(dir, s)
		if err != nil {
			return nil, err
		}
		bad = append(bad, t)
	}
	h := &Heads{}
	margin := h.alarms(dir, others)
	for i, t := range bad {
		row := HeadRow{Source: t.name, Prompts: len(t.of)}
		for _, text := range t.of {
			if detect.ShippedHead().Margin(text) >= margin {
				row.Shipped++
			}
		}
		row.LeftOut = foundBy(learnHead(others, bad, i, -1), others, t, all)
		for half := range 2 {
			row.Within += foundBy(learnHead(others, bad, i, half), others, t, func(n int) bool { return n%2 != half })
		}
		h.Sources = append(h.Sources, row)
	}
	return h, nil
}

// alarms gives the margin of the shipped head that 1 % of the ordinary prompts reach which it has not learnt, and counts those
// of each source, and the lookalikes.
func (h *Heads) alarms(dir string, others []texts) float32 {
	head := detect.ShippedHead()
	margins := map[string][]float32{}
	var pool []float32
	for _, t := range others {
		if slices.Contains(unlearnt, t.name) {
			margins[t.name] = marginsOf(head, t.of)
			pool = append(pool, margins[t.name]...)
		}
	}
	margin := topShare(pool, passing)
	count := func(name string, of []float32) {
		row := AlarmRow{Source: name, Prompts: len(of)}
		for _, m := range of {
			if m >= margin {
				row.Alarms++
			}
		}
		h.Alarms = append(h.Alarms, row)
	}
	for _, name := range unlearnt {
		count(name, margins[name])
	}
	for _, s := range lookalikes {
		if of, err := s.read(dir); err == nil {
			count(s.name, marginsOf(head, of))
		}
	}
	return margin
}

func marginsOf(h *detect.Head, of []string) []float32 {
	margins := make([]float32, len(of))
	for i, text := range of {
		margins[i] = h.Margin(text)
	}
	return margins
}

// topShare is the least margin that no more than a share reaches.
func topShare(margins []float32, share float64) float32 {
	sorted := slices.Sorted(slices.Values(margins))
	return math.Nextafter32(sorted[len(sorted)-1-int(share*float64(len(sorted)))], float32(math.Inf(1)))
}

func all(int) bool { return true }

// every is of how many ordinary prompts one is learnt, and another one judges.
const every = 8

// learnHead learns from the sources of attacks but one, of that only the prompts of a half, 0 or 1, or none for -1, and from
// an eighth of the ordinary prompts.
func learnHead(others, bad []texts, without, half int) *fit.Linear {
	var examples []fit.Example
	for i, t := range bad {
		for n, rows := range t.rows {
			if i != without || n%2 == half {
				examples = append(examples, fit.Example{Rows: rows, Class: 0, Weight: 1})
			}
		}
	}
	for _, t := range others {
		for n, rows := range t.rows {
			if n%every == 0 {
				examples = append(examples, fit.Example{Rows: rows, Class: 1, Weight: 1})
			}
		}
	}
	return fit.NewLinear(examples, fit.LinearOptions{Rows: detect.HeadRows, Classes: 1, Cost: 1, Epochs: 10, Seed: 1})
}

// foundBy counts the prompts of t, of those that judges says, which reach the margin that 1 % of ordinary prompts reach which l
// has not learnt.
func foundBy(l *fit.Linear, others []texts, t texts, judges func(n int) bool) int {
	margin := func(rows []uint32) float32 {
		var m [1]float32
		l.Margins(m[:], rows)
		return m[0]
	}
	var pool []float32
	for _, o := range others {
		for n, rows := range o.rows {
			if n%every == every/2 {
				pool = append(pool, margin(rows))
			}
		}
	}
	least, found := topShare(pool, passing), 0
	for n, rows := range t.rows {
		if judges(n) && margin(rows) >= least {
			found++
		}
	}
	return found
}

const headOfHeads = `
## The learnt head

A linear model on hashed words and pairs of words, with a margin for how far a text is worded like an attack. It is learnt from
prompts that were written for Plumbline and from ordinary text, by ` + "`make models`" + `, and from none of the sources below; who
wrote the last of them had read fifty of the jailbreaks in the wild, for the test set of intents. It adds points where the rules
found a little of an attack and not enough, so that it finds nothing alone; that is in the tables above. Here is what heads
alone would find, at a margin that 1 % of ordinary prompts reach: the shipped one; one that learnt all other sources of attacks
in the table and not the one it is judged on; and, for comparison, two that learnt half of that source too and are judged on
the other half.

| source | prompts | shipped | this source left out | half of it learnt |
|---|---|---|---|---|
`

const headOfAlarms = `
How often the shipped head alone takes other prompts for attacks at that margin, by source. None of them is learnt. Nothing is
blocked or warned about for this alone.

| source | prompts | taken for attacks |
|---|---|---|
`

// write writes the part of the page on heads.
func (h *Heads) write(b *strings.Builder) {
	b.WriteString(headOfHeads)
	for _, r := range h.Sources {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", r.Source, r.Prompts, Share(r.Shipped, r.Prompts), Share(r.LeftOut, r.Prompts), Share(r.Within, r.Prompts))
	}
	b.WriteString(headOfAlarms)
	for _, r := range h.Alarms {
		fmt.Fprintf(b, "| %s | %d | %s |\n", r.Source, r.Prompts, Share(r.Alarms, r.Prompts))
	}
}
