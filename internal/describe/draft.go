package describe

import (
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// wanted is how many topics a draft may make together with those that are there. About eight describe a task well; a field
// of work has eight, and a person strikes out some.
const wanted = 12

// Bounds on what is drafted from, and on a drafted topic.
const (
	maxSources    = 64
	maxTopicWords = 12
	// How many topics of one kind of source there are at most, so that one long description is not all.
	fromDescription = 5
	fromExamples    = 5
)

// Below which score a task is in a field of work, whose topics are drafted then, below which score half of those of a second
// field follow, and from which cosine on two topics say the same.
const (
	nearField  = 0.95
	nearSecond = 0.3
	alike      = 0.8
)

// field is a field of work, and what people do in it.
type field struct {
	task        *deviation.Task
	name, stems map[uint32]bool // stems of its name, and of all of its words
	topics      []phrase
}

type phrase struct {
	text   string
	vector embed.Vector
}

// Draft gives topics that t might cover beside its own, about a dozen together: of its description's clauses, of its examples,
// and of the field of work that its words are nearest to. They are for a person to choose from. It gives none where nothing
// that t says has a meaning to go by.
func (e *Editor) Draft(t core.Task) []string {
	var has []phrase
	for _, topic := range t.Topics {
		has = append(has, e.phrase(topic))
	}
	room := max(wanted-len(has), 0)
	var drafted []string
	take := func(from []phrase, most int) {
		for _, p := range from {
			if len(drafted) == room || most == 0 {
				return
			}
			if p.text == "" || slices.ContainsFunc(has, p.says) {
				continue
			}
			has, drafted, most = append(has, p), append(drafted, p.text), most-1
		}
	}
	take(e.clauses(t.Description), fromDescription)
	take(e.typical(t.Examples), fromExamples)
	take(e.usual(strings.Join(texts(t), ". ")), room)
	return drafted
}

// says reports that p and q are the same topic.
func (p phrase) says(q phrase) bool {
	return strings.EqualFold(p.text, q.text) || p.vector.Dot(q.vector) > alike
}

// texts is all that t says of itself.
func texts(t core.Task) []string {
	all := []string{t.Title, t.Description}
	for _, more := range [2][]string{t.Topics, t.Examples} {
		all = append(all, more[:min(len(more), maxSources)]...)
	}
	return all
}

// clauses gives the parts of a description that have two words of content at least.
func (e *Editor) clauses(description string) []phrase {
	parts := strings.FieldsFunc(clip(description), func(r rune) bool { return strings.ContainsRune(".;:!?,\n", r) })
	var all []phrase
	for _, part := range parts[:min(len(parts), maxSources)] {
		if contents(part) >= 2 {
			all = append(all, e.phrase(shorten(part)))
		}
	}
	return all
}

// typical gives examples that stand for the others: each is the farthest from those before it.
func (e *Editor) typical(examples []string) []phrase {
	var all, chosen []phrase
	for _, text := range examples[:min(len(examples), maxSources)] {
		if contents(text) >= 2 {
			all = append(all, e.phrase(shorten(text)))
		}
	}
	for len(chosen) < fromExamples && len(all) > 0 {
		at := 0
		for i := range all {
			if nearness(all[i], chosen) < nearness(all[at], chosen) {
				at = i
			}
		}
		chosen = append(chosen, all[at])
		all = slices.Delete(all, at, at+1)
	}
	return chosen
}

func nearness(p phrase, to []phrase) float32 {
	near := float32(-1)
	for _, q := range to {
		near = max(near, p.vector.Dot(q.vector))
	}
	return near
}

// usual gives what people do in the field of work that text is nearest to, and then in one that is named by a word which the
// first lacks.
func (e *Editor) usual(text string) []phrase {
	first := e.nearestField(text, nearField, func(*field) bool { return true })
	if first == nil {
		return nil
	}
	topics := slices.Clone(first.topics)
	more := first.lacks(text)
	named := func(f *field) bool {
		return slices.ContainsFunc(more, func(w intent.Word) bool { return f.name[w.Stem] && !anyField[w.Text] })
	}
	if second := e.nearestField(text, nearSecond, named); second != nil && second != first {
		topics = append(topics, second.topics[:len(second.topics)/2]...)
	}
	return topics
}

// anyField are words of titles that name no field, whatever stands in its name.
var anyField = map[string]bool{"desk": true, "help": true, "support": true, "service": true, "team": true, "assistant": true}

// nearestField gives the field among some whose score is lowest, nil where none is below most. A field is compared as a task
// is: by its words, by their likeness and by the meaning of the whole.
func (e *Editor) nearestField(text string, most float64, among func(*field) bool) (nearest *field) {
	v := view(clip(text))
	for i := range e.fields {
		f := &e.fields[i]
		if !among(f) {
			continue
		}
		if d := e.scorer.Score(v, []*deviation.Task{f.task}); d.Unscored == "" && d.Score < most {
			nearest, most = f, d.Score
		}
	}
	return nearest
}

// lacks gives the words of content of text that f does not have.
func (f *field) lacks(text string) []intent.Word {
	return slices.DeleteFunc(intent.Words(clip(text)), func(w intent.Word) bool { return !w.Content || f.stems[w.Stem] })
}

func (e *Editor) phrase(text string) phrase {
	text = strings.TrimSpace(text)
	return phrase{text, e.vector(text)}
}

func (e *Editor) vector(text string) embed.Vector { return e.sum([]string{text}) }

// sum gives the vector of the words of content of texts.
func (e *Editor) sum(texts []string) embed.Vector {
	v := make(embed.Vector, e.table.Dim())
	for _, text := range texts {
		for _, w := range intent.Words(clip(text)) {
			if w.Content {
				e.table.AddPieces(v, e.table.AppendPieces(nil, w.Text))
			}
		}
	}
	v.Normalise()
	return v
}

// clip cuts text to what a task is compared by.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), deviation.MaxText)], "")
}

// contents is the number of words that carry meaning.
func contents(text string) int {
	n := 0
	for _, w := range intent.Words(clip(text)) {
		if w.Content {
			n++
		}
	}
	return n
}

// shorten cuts text to the words that a topic may have.
func shorten(text string) string {
	words := strings.Fields(clip(text))
	return strings.Join(words[:min(len(words), maxTopicWords)], " ")
}
