package describe

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// Kinds of problems.
const (
	NothingToCompare = "nothing_to_compare"
	TitleOnly        = "title_only"
	NoTopics         = "no_topics"
	FewTopics        = "few_topics"
	TooShort         = "too_short"
	Language         = "language"
	OffTask          = "off_task"
	Twice            = "twice"
	NearDuplicate    = "near_duplicate"
	TooMuch          = "too_much"
	Contradiction    = "contradiction"
)

// Problem is what is wrong with a task. Text says what to do; it quotes nothing of the task.
type Problem struct {
	Task  string `json:"task"`
	Where string `json:"where"` // e.g. "topics", "examples[3]"
	Kind  string `json:"kind"`
	Text  string `json:"text"`
}

const (
	// EnoughTopics is the number of topics below which more are asked for.
	EnoughTopics = 5
	// enoughWords is the number of words of content of title, description and topics together below which they are few.
	enoughWords = 12
	// offTask is the score from which on an example does not belong to its task by what else the task says: the default
	// warning.
	offTask = 0.80
	// duplicate is the cosine from which on two tasks say the same.
	duplicate = 0.92
	// sameExample is the cosine from which on two examples say the same.
	sameExample = 0.95
	// maxProblems is how many problems of a task are told, and maxLinted how many examples are looked at.
	maxProblems, maxLinted = 50, deviation.MaxExamples
)

// Lint says what the descriptions of tasks lack, in order of tasks. Each is compared with those of all, which it is among.
func (e *Editor) Lint(tasks, all []core.Task) []Problem {
	said := make([]embed.Vector, len(all))
	for i, t := range all {
		said[i] = e.said(t)
	}
	var found []Problem
	for _, t := range tasks {
		l := linter{Editor: e, task: t}
		l.text()
		l.examples()
		l.outOfScope()
		l.others(all, said)
		found = append(found, l.found[:min(len(l.found), maxProblems)]...)
	}
	return found
}

// linter looks at one task.
type linter struct {
	*Editor
	task  core.Task
	found []Problem
}

func (l *linter) tell(where, kind, text string) {
	l.found = append(l.found, Problem{l.task.ID, where, kind, text})
}

// text looks at title, description and topics.
func (l *linter) text() {
	t := l.task
	words := contents(t.Title) + contents(t.Description)
	for _, topic := range t.Topics {
		words += contents(topic)
	}
	switch {
	case words == 0:
		l.tell("title", NothingToCompare, "no word of title, description or topics carries a meaning: every prompt is far from this task")
	case t.Description == "" && len(t.Topics) == 0:
		l.tell("topics", TitleOnly, "there is only a title: a sentence of description and about eight topics tell prompts apart far better")
	case len(t.Topics) == 0:
		l.tell("topics", NoTopics, "there are no topics: add about eight short phrases, each on one thing that people do")
	case len(t.Topics) < EnoughTopics:
		l.tell("topics", FewTopics, fmt.Sprintf("%d topics are few: about eight are good", len(t.Topics)))
	case words < enoughWords:
		l.tell("topics", TooShort, fmt.Sprintf("%d words with a meaning are few to compare with: say in each topic what it is about", words))
	}
	if phrases := len(t.Topics) + 1; phrases > deviation.MaxPhrases || words > deviation.MaxTaskWords {
		l.tell("topics", TooMuch, fmt.Sprintf("what is beyond %d phrases or %d words is not compared", deviation.MaxPhrases, deviation.MaxTaskWords))
	}
	l.language("title", t.Title)
	l.language("description", t.Description)
	for i, topic := range t.Topics[:min(len(t.Topics), deviation.MaxPhrases)] {
		l.language(fmt.Sprintf("topics[%d]", i), topic)
		for j, before := range t.Topics[:i] {
			if l.phrase(before).says(l.phrase(topic)) {
				l.tell(fmt.Sprintf("topics[%d]", i), Twice, fmt.Sprintf("says the same as topics[%d]", j))
				break
			}
		}
	}
}

// language tells of text that cannot be compared with English prompts, and reports whether there was any.
func (l *linter) language(where, text string) bool {
	v := view(clip(text))
	if text == "" || v.Unscored != core.UnscoredLanguage && v.Unscored != core.UnscoredEncoded {
		return false
	}
	l.tell(where, Language, "does not read as English, the only language that prompts are compared in")
	return true
}

// examples asks of each whether it is on the task by what the task says without it.
func (l *linter) examples() {
	t := l.task
	if len(t.Examples) > deviation.MaxExamples {
		l.tell("examples", TooMuch, fmt.Sprintf("what is beyond %d examples is not compared", deviation.MaxExamples))
	}
	alone := t
	alone.Examples = nil
	compiled := []*deviation.Task{l.scorer.Compile(alone)}
	seen := map[string]int{}
	for i, text := range t.Examples[:min(len(t.Examples), maxLinted)] {
		where := fmt.Sprintf("examples[%d]", i)
		if before, twice := seen[text]; twice {
			l.tell(where, Twice, fmt.Sprintf("is the same as examples[%d]", before))
			continue
		}
		seen[text] = i
		if l.language(where, text) {
			continue
		}
		switch d := l.scorer.Score(view(clip(text)), compiled); {
		case d.Unscored != "":
			l.tell(where, TooShort, "has no word that carries a meaning")
		case d.Score >= offTask:
			l.tell(where, OffTask, fmt.Sprintf(
				"scores %.2f by title, description and topics: it contradicts them, or they lack its topic", d.Score))
		}
	}
}

// outOfScope looks for examples of what is not the task that say what the task says it is.
func (l *linter) outOfScope() {
	const field = "out_of_scope"
	t := l.task
	if len(t.OutOfScope) > deviation.MaxExamples {
		l.tell(field, TooMuch, fmt.Sprintf("what is beyond %d examples is not compared", deviation.MaxExamples))
	}
	inScope := l.inScope()
	seen := map[string]int{}
	for i, text := range t.OutOfScope[:min(len(t.OutOfScope), maxLinted)] {
		where := fmt.Sprintf("%s[%d]", field, i)
		if before, twice := seen[text]; twice {
			l.tell(where, Twice, fmt.Sprintf("is the same as %s[%d]", field, before))
			continue
		}
		seen[text] = i
		if l.language(where, text) {
			continue
		}
		if contents(text) == 0 {
			l.tell(where, TooShort, "has no word that carries a meaning")
			continue
		}
		own := l.phrase(text)
		for _, in := range inScope {
			if in.sameAs(own) {
				l.tell(where, Contradiction, fmt.Sprintf("says the same as %s, which is in the scope: take one of them away", in.where))
				break
			}
		}
	}
}

// placed is a text of a task, and where it stands.
type placed struct {
	phrase
	where string
}

// inScope are the texts that say what is in the scope of the task.
func (l *linter) inScope() []placed {
	all := []placed{{l.phrase(l.task.Title), "title"}}
	for _, list := range []struct {
		name  string
		texts []string
		most  int
	}{{"topics", l.task.Topics, deviation.MaxPhrases}, {"examples", l.task.Examples, maxLinted}} {
		for i, text := range list.texts[:min(len(list.texts), list.most)] {
			all = append(all, placed{l.phrase(clip(text)), fmt.Sprintf("%s[%d]", list.name, i)})
		}
	}
	return all
}

// sameAs reports that p and q are the same example, or nearly so.
func (p phrase) sameAs(q phrase) bool {
	return strings.EqualFold(p.text, q.text) || p.vector.Dot(q.vector) >= sameExample
}

// others looks for tasks that say the same: said is what each of all says.
func (l *linter) others(all []core.Task, said []embed.Vector) {
	own := l.said(l.task)
	for i, other := range all {
		if other.ID != l.task.ID && own.Dot(said[i]) >= duplicate {
			l.tell("title", NearDuplicate, fmt.Sprintf("says nearly the same as task %s: which of the two is nearest is then by chance", other.ID))
		}
	}
}

// said is what a task says without its examples.
func (e *Editor) said(t core.Task) embed.Vector {
	t.Examples = nil
	return e.sum(texts(t))
}

func view(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}
