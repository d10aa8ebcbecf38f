package describe

import (
	"cmp"
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

// How near a field of work must be to the task for its topics to be drafted, how much farther than the nearest the second
// may be for half of its topics to follow, and from which cosine on two topics say the same.
const (
	nearField  = 0.25
	sameFields = 0.2
	alike      = 0.8
)

// field is a field of work, and what people do in it.
type field struct {
	vector embed.Vector
	topics []phrase
}

type phrase struct {
	text   string
	vector embed.Vector
}

// Draft gives topics that t might cover beside its own, about a dozen together: of its description's clauses, of its examples,
// and of the field of work that its words are nearest to. They are for a person to choose from. It gives none where nothing
// that t says has a meaning to go by.
func (e *Editor) Draft(t core.Task) []string {
	whole := e.sum(texts(t))
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
	take(e.usual(whole), room)
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

// usual gives what people do in the fields of work that whole is nearest to, the nearest first.
func (e *Editor) usual(whole embed.Vector) []phrase {
	fields := slices.Clone(e.fields)
	slices.SortStableFunc(fields, func(a, b field) int { return cmp.Compare(whole.Dot(b.vector), whole.Dot(a.vector)) })
	best := whole.Dot(fields[0].vector)
	if best < nearField {
		return nil
	}
	all := slices.Clone(fields[0].topics)
	if next := fields[1]; whole.Dot(next.vector) >= best-sameFields {
		all = append(all, next.topics[:len(next.topics)/2]...)
	}
	return all
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
