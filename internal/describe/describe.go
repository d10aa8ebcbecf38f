// Package describe helps to describe tasks: it says what a description lacks, and drafts topics.
//
// How a task is described matters more than anything else for how well prompts are told apart: a bare title gives little to
// compare with. All work is offline, bounded and a pure function of the tasks; nothing is changed, a person decides. It
// imports core, embed, intent and deviation, and must not import store, policy or any front or back end.
package describe

import (
	_ "embed" // fields of work
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// fieldLines are fields of work, each with what people do in it: a line each, in our own words.
//
//go:embed fields.txt
var fieldLines string

// Editor checks and drafts. It is immutable and safe for concurrent use.
type Editor struct {
	table  *embed.Table
	scorer *deviation.Scorer
	fields []field
}

// New gives an editor that judges as s does. table is the one that s was made with.
func New(s *deviation.Scorer, table *embed.Table) *Editor {
	e := &Editor{table: table, scorer: s}
	for line := range strings.Lines(fieldLines) {
		name, topics, _ := strings.Cut(strings.TrimSpace(line), ": ")
		each := strings.Split(topics, "; ")
		f := field{task: s.Compile(core.Task{Title: name, Topics: each}), name: stems(name), stems: stems(line)}
		for _, topic := range each {
			f.topics = append(f.topics, e.phrase(topic))
		}
		e.fields = append(e.fields, f)
	}
	return e
}

func stems(text string) map[uint32]bool {
	all := map[uint32]bool{}
	for _, w := range intent.Words(text) {
		all[w.Stem] = true
	}
	return all
}

// Default gives the editor of the shipped scorer.
func Default() (*Editor, error) {
	table, err := embed.Default()
	if err != nil {
		return nil, err
	}
	s, err := deviation.Default()
	if err != nil {
		return nil, err
	}
	return New(s, table), nil
}
