package main

import (
	"embed"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// The prompts to learn from are written by hand, for this: whole ones, templates, and words to fill them with. [a|b] stands
// for one of both, {name} for an entry of the lexicon, \n for the end of a line.
//
//go:embed prompts/*.txt
var files embed.FS

// source is what the prompts of one class are made of.
type source struct{ prompts, templates []string }

// writer makes prompts of sources. What it makes depends on its seed alone.
type writer struct {
	lexicon map[string][]string
	// sentences are what stands for {sentence}: pasted text of any subject. Their nouns stand for {noun}, so that a class is
	// told by how it asks and not by what about.
	sentences, nouns []string
	rand             *rand.Rand
}

func newWriter(sentences []string, seed uint64) (*writer, error) {
	raw, err := files.ReadFile("prompts/lexicons.txt")
	if err != nil {
		return nil, err
	}
	w := &writer{lexicon: map[string][]string{"sentence": nil, "noun": nil}, sentences: sentences, nouns: nouns(sentences), rand: rand.New(rand.NewPCG(seed, 7))}
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if name, value, whole := strings.Cut(line, ":: "); whole {
			w.lexicon[name] = append(w.lexicon[name], value)
			continue
		}
		name, values, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("lexicons.txt: %q names nothing", line)
		}
		w.lexicon[name] = append(w.lexicon[name], strings.Split(values, " | ")...)
	}
	return w, nil
}

// nouns gives the words that stand often between an article and the end of a phrase, in order.
func nouns(sentences []string) []string {
	const often = 3
	times := map[string]int{}
	for _, s := range sentences {
		words := strings.Fields(strings.ToLower(s))
		for i := 1; i+1 < len(words); i++ {
			word := strings.Trim(words[i], ".,;:!?")
			if articles[words[i-1]] && (word != words[i] || ends[words[i+1]]) && len(word) > 2 && onlyLetters(word) {
				times[word]++
			}
		}
	}
	maps.DeleteFunc(times, func(_ string, n int) bool { return n < often })
	return sortedKeys(times)
}

var (
	articles = map[string]bool{"a": true, "an": true, "the": true, "your": true, "this": true}
	ends     = map[string]bool{"of": true, "is": true, "in": true, "and": true, "for": true, "to": true, "on": true, "with": true, "was": true, "that": true}
)

func onlyLetters(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

// readSource reads the prompts and templates of a class.
func readSource(label string) (source, error) {
	var s source
	raw, err := files.ReadFile("prompts/" + label + ".txt")
	if err != nil {
		return s, err
	}
	var into *[]string
	for line := range strings.Lines(string(raw)) {
		switch line = strings.TrimSuffix(line, "\n"); line {
		case "":
		case "## prompts":
			into = &s.prompts
		case "## templates":
			into = &s.templates
		default:
			*into = append(*into, line)
		}
	}
	return s, nil
}

// Numbers of prompts that are made for a class.
const (
	// variants is how often each prompt that was written whole stands, once as it is and else dressed.
	variants = 5
	// filled is how many are made of a template.
	filled = 100
)

// made is a prompt and the number of the line that it was made of: prompts that were written whole first, then templates.
type made struct {
	text string
	of   int
}

// write gives the prompts of one class, none of them twice.
func (w *writer) write(s source) ([]made, error) {
	seen := map[string]bool{}
	var all []made
	add := func(text string, of int) {
		text = strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
		if text != "" && !seen[text] {
			seen[text] = true
			all = append(all, made{text, of})
		}
	}
	for i, p := range s.prompts {
		add(p, i)
		for range variants - 1 {
			add(w.dress(p), i)
		}
	}
	for i, t := range s.templates {
		for range filled {
			text, err := w.fill(t, 0)
			if err != nil {
				return nil, err
			}
			if w.chance(2) {
				text = w.dress(text)
			}
			add(text, len(s.prompts)+i)
		}
	}
	return all, nil
}

// fill puts words into a template. Entries of the lexicon may be templates too. Brackets without a | and braces without a name
// stand for themselves: code has them.
func (w *writer) fill(template string, depth int) (string, error) {
	if depth > 4 {
		return "", fmt.Errorf("the template %q refers to itself", template)
	}
	var b strings.Builder
	for rest := template; rest != ""; {
		i := strings.IndexAny(rest, "[{")
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		chosen, after, ok := w.choose(rest[i:])
		if !ok {
			b.WriteByte(rest[i])
			rest = rest[i+1:]
			continue
		}
		text, err := w.fill(chosen, depth+1)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		rest = after
	}
	return b.String(), nil
}

// choose takes one of what the group stands for that text begins with.
func (w *writer) choose(text string) (chosen, after string, ok bool) {
	if text[0] == '[' {
		inner, after, closed := strings.Cut(text[1:], "]")
		if !closed || !strings.Contains(inner, "|") {
			return "", "", false
		}
		return pick(w.rand, strings.Split(inner, "|")), after, true
	}
	name, after, closed := strings.Cut(text[1:], "}")
	values, known := w.lexicon[name]
	if !closed || !known {
		return "", "", false
	}
	switch name {
	case "sentence":
		values = w.sentences
	case "noun":
		values = w.nouns
	}
	return pick(w.rand, values), after, true
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// chance is true once in n times.
func (w *writer) chance(n int) bool { return w.rand.IntN(n) == 0 }

// dress gives text some of what people put around a request: who they are, courtesy, haste, mistakes.
func (w *writer) dress(text string) string {
	if w.chance(3) {
		text = w.replace(text)
	}
	if w.chance(4) {
		text = w.mistype(text)
	}
	if w.chance(3) {
		_, first := utf8.DecodeRuneInString(text)
		text = pick(w.rand, w.lexicon["opening"]) + " " + strings.ToLower(text[:first]) + text[first:]
	}
	if w.chance(4) {
		text = pick(w.rand, w.lexicon["context"]) + " " + text
	}
	if w.chance(4) {
		text = strings.TrimRight(text, "?. ")
	}
	if w.chance(6) {
		text = hasten.Replace(text)
	}
	if w.chance(4) {
		text += pick(w.rand, []string{" ", ". ", "\n"}) + pick(w.rand, w.lexicon["closing"])
	}
	if w.chance(12) {
		text += "\n\n" + pick(w.rand, w.sentences)
	}
	return text
}

// hasten leaves out what people leave out who type in haste, or in a language that is not theirs.
var hasten = strings.NewReplacer("'", "", "\u2019", "", " the ", " ", " a ", " ", " an ", " ", " you ", " u ", " are ", " r ", "please", "plz",
	"because", "cuz", "want to", "wanna", "going to", "gonna")

// replace puts a noun in the place of a long word that is not among the first, which say what is asked.
func (w *writer) replace(text string) string {
	words := strings.Split(text, " ")
	i := w.rand.IntN(len(words))
	if i < 3 || len(words[i]) < 5 || !onlyLetters(words[i]) {
		return text
	}
	words[i] = pick(w.rand, w.nouns)
	return strings.Join(words, " ")
}

// mistype swaps, drops or doubles a letter.
func (w *writer) mistype(text string) string {
	i := w.rand.IntN(len(text))
	if i+1 >= len(text) || !letter(text[i]) || !letter(text[i+1]) {
		return text
	}
	switch w.rand.IntN(3) {
	case 0:
		return text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:]
	case 1:
		return text[:i] + text[i+1:]
	default:
		return text[:i+1] + text[i:]
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
