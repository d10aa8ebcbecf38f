package deviation

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
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

// TestTheFartherOfWholeAndRestCounts works the score out of both.
func TestTheFartherOfWholeAndRestCounts(t *testing.T) {
	s, tasks := caseTasks(t)
	task := tasks["described"]
	farther := 0
	for _, quotation := range []string{caseTask.Title, caseTask.Topics[0], caseTask.Topics[2]} {
		for _, text := range casePrompts {
			q, rest := s.query(text+", "+quotation), s.query(text)
			contents := 0
			for i := range rest.words {
				if rest.words[i].content {
					contents++
				}
			}
			want := task.score(q)
			if contents >= 3 {
				beside := task.score(rest)
				want = max(want, beside)
				if beside > task.score(q) {
					farther++
				}
			}
			v := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text + ", " + quotation}}})
			if got := s.Score(v, []*Task{task}).Score; math.Abs(got-want) > 1e-6 {
				t.Errorf("%q, %q: %v, want %v", text, quotation, got, want)
			}
		}
	}
	if farther == 0 {
		t.Error("what is left is never farther")
	}
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
