package deviation

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// TestQuotationsAgreeWithReference looks for each run of words in each phrase, without the signs and without what is next to one
// another.
func TestQuotationsAgreeWithReference(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	word := rapid.SampledFrom([]string{"refund", "invoice", "flight", "hotel", "query", "the", "of", "visa", "late", "zyzzyva"})
	text := func(t *rapid.T, name string, most int) string {
		return strings.Join(rapid.SliceOfN(word, 1, most).Draw(t, name), " ")
	}
	rapid.Check(t, func(t *rapid.T) {
		task := core.Task{Title: text(t, "title", 6), Topics: []string{text(t, "first", 8), text(t, "second", 8)}}
		texts := append([]string{task.Title}, task.Topics...)
		var phrases [][]uint32
		for _, phrase := range texts {
			phrases = append(phrases, stemsOf(intent.Words(phrase)))
		}
		var prompt []string // words, and pieces of phrases
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			phrase := strings.Fields(rapid.SampledFrom(texts).Draw(t, "phrase"))
			from := rapid.IntRange(0, len(phrase)-1).Draw(t, "from")
			to := rapid.IntRange(from, len(phrase)).Draw(t, "to")
			prompt = append(append(prompt, word.Draw(t, "word")), phrase[from:to]...)
		}
		words := intent.Words(strings.Join(prompt, " "))
		want := referenceQuoted(words, phrases)
		r, c := new(rest), s.Compile(task)
		found := r.findQuotes(c, words)
		if diff := cmp.Diff(want, r.quoted); diff != "" || found != slices.Contains(want, true) {
			t.Fatalf("found %v: %s", found, diff)
		}
		if s.quoted(words, []*Task{c}) != found {
			t.Fatalf("found %v, at first sight not", found)
		}
		var left []string
		for _, w := range r.leave(words) {
			left = append(left, w.Text)
		}
		if diff := cmp.Diff(referenceLeft(words, want), left); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestTheFartherOfWholeAndRestCounts works the score out of both, of prompts made of a request and of a phrase or two, and looks that what
// counted is what explains it.
func TestTheFartherOfWholeAndRestCounts(t *testing.T) {
	s, tasks := caseTasks(t)
	task := tasks["described"]
	phrases := [][]uint32{}
	for _, phrase := range append([]string{caseTask.Title, caseTask.Description}, caseTask.Topics...) {
		for _, sentence := range sentences(phrase) {
			phrases = append(phrases, stemsOf(intent.Words(sentence)))
		}
	}
	requests := append([]string{
		"Write a reply to a customer who asks", "Draft a short mail to the team", "Recommend thrillers about submarines", "Compare volcanoes",
		"Summarise the history of opera for me", "put it into a table", "which chocolate cake needs no oven", "this is for me please", "conference hotel, flight, visa, passport, travel and business trip",
	}, casePrompts...)
	usual := 0.0
	for _, text := range Generic() {
		usual += referenceLength(s, text) / float64(len(s.generic))
	}
	counts := map[string]int{}
	quotations := append([]string{caseTask.Title, "zyzzyva"}, caseTask.Topics...)
	for _, request := range requests {
		for i, first := range quotations {
			for _, text := range []string{request + ", " + first, first + ": " + request, first + ", " + request + ", " + quotations[(i+2)%len(quotations)]} {
				counted, judged := referenceFarther(s, task, text, phrases, usual)
				want, explained := task.score(counted), min(len(contentOf(counted)), maxWords)
				counts[judged]++
				v := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
				if d := s.Score(v, []*Task{task}); d.Unscored != "" || math.Abs(d.Score-want) > 1e-4*want || len(d.Words) != explained {
					t.Errorf("%q: %v by %d words, want %v by %d (%s)", text, d.Score, len(d.Words), want, explained, judged)
				}
			}
		}
	}
	for _, judged := range []string{"nothing quoted", "nothing left", "too few", "too little", "nearer", "farther"} {
		if counts[judged] == 0 {
			t.Errorf("no prompt had %s: %v", judged, counts)
		}
	}
}

func contentOf(q *query) (stems []uint32) {
	for i := range q.words {
		if q.words[i].content {
			stems = append(stems, q.words[i].stem)
		}
	}
	return stems
}

// referenceFarther gives what counts of text, and why.
func referenceFarther(s *Scorer, task *Task, text string, phrases [][]uint32, usual float64) (counted *query, why string) {
	words := intent.Words(text)
	whole := s.query(text)
	quoted := referenceQuoted(words, phrases)
	if !slices.Contains(quoted, true) {
		return whole, "nothing quoted"
	}
	longest := 0
	for from := range words {
		for to := from + 1; to <= len(words); to++ {
			stems := stemsOf(words[from:to])
			for _, phrase := range phrases {
				for at := 0; at+len(stems) <= len(phrase); at++ {
					if slices.Equal(stems, phrase[at:at+len(stems)]) && (len(stems) >= 4 || len(stems) > 1 && len(stems) == len(phrase)) {
						longest = max(longest, len(stems))
					}
				}
			}
		}
	}
	left := strings.Join(referenceLeft(words, quoted), " ")
	rest := s.query(left)
	if rest == nil {
		return whole, "nothing left"
	}
	subjects := contentOf(rest)
	for _, w := range intent.Words(formWords) {
		subjects = slices.DeleteFunc(subjects, func(stem uint32) bool { return stem == w.Stem })
	}
	if len(subjects) < 2 || len(subjects) < 3 && longest == 2 {
		return whole, "too few"
	}
	if referenceLength(s, left) < 0.72*usual {
		return whole, "too little"
	}
	if task.score(rest) > task.score(whole) {
		return rest, "farther"
	}
	return whole, "nearer"
}

// referenceLength adds the rows of the words of text up, each word once, and of pairs, and gives the length of the sum.
func referenceLength(s *Scorer, text string) float64 {
	words := intent.Words(text)
	if len(stemsOf(words)) == 0 {
		return 0
	}
	sum := make(embed.Vector, s.table.Dim())
	seen := map[uint32]embed.Piece{}
	var before *embed.Piece
	for _, w := range words {
		pieces := s.table.AppendPieces(nil, w.Text)
		if len(pieces) == 0 {
			continue
		}
		if last, again := seen[w.Stem]; again {
			before = &last
			continue
		}
		for _, p := range pieces {
			s.table.AddPiece(sum, p, 1)
			if before != nil {
				s.table.AddPair(sum, *before, p, 1)
			}
			before = &p
		}
		seen[w.Stem] = *before
	}
	return math.Sqrt(float64(sum.Dot(sum)))
}

func stemsOf(words []intent.Word) (stems []uint32) {
	for _, w := range words {
		if w.Content {
			stems = append(stems, w.Stem)
		}
	}
	return stems
}

// referenceQuoted tries each run of content words from the longest on.
func referenceQuoted(words []intent.Word, phrases [][]uint32) []bool {
	quoted := make([]bool, len(words))
	for from := range words {
		for to := len(words); to > from; to-- {
			stems := stemsOf(words[from:to])
			if len(stems) < 2 || !words[from].Content || !words[to-1].Content {
				continue
			}
			for _, phrase := range phrases {
				for at := 0; at+len(stems) <= len(phrase); at++ {
					if slices.Equal(stems, phrase[at:at+len(stems)]) && (len(stems) >= 4 || len(stems) == len(phrase)) {
						for i := from; i < to; i++ {
							quoted[i] = true
						}
					}
				}
			}
		}
	}
	return quoted
}

// referenceLeft leaves out what is quoted, and each run of words without content that nothing but quotations and ends are around.
func referenceLeft(words []intent.Word, quoted []bool) (left []string) {
	said := func(from, step int) bool {
		for i := from; i >= 0 && i < len(words); i += step {
			if words[i].Content {
				return !quoted[i]
			}
		}
		return false
	}
	for i, w := range words {
		if !quoted[i] && (w.Content || said(i, -1) || said(i, 1)) {
			left = append(left, w.Text)
		}
	}
	return left
}
