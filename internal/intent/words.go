package intent

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord is the length beyond which a run of letters is cut: no word of a language is longer.
const maxWord = 40

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return isASCIIWord(byte(r))
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// appendWords appends the words of text, which is normalised. Words are pieces of text, not copies.
func appendWords(words []Word, text string, weight float32) []Word {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if !isASCIIWord(c) {
				i++
				continue
			}
		} else if r, size := utf8.DecodeRuneInString(text[i:]); !isWordRune(r) {
			i += size
			continue
		}
		from := i
		i = endOfWord(text, from)
		words = append(words, newWord(text[from:i], weight))
	}
	return words
}

// endOfWord is where the word ends that begins at from.
func endOfWord(text string, from int) int {
	i := from
	for i < len(text) && i-from < maxWord {
		if isASCIIWord(text[i]) {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if !isWordRune(r) && (r != '\'' || i+1 == len(text) || !isASCIIWord(text[i+1])) {
			break
		}
		i += size
	}
	return i
}

func newWord(text string, weight float32) Word {
	kind := kinds[text]
	bare, bareKind := text, kind
	if b, owned := strings.CutSuffix(text, "'s"); owned {
		bare, bareKind = b, kinds[b]
	}
	return Word{Text: text, Stem: Stem(bare), Weight: weight, Content: len(bare) > 1 && bareKind&function == 0, kind: kind}
}

// Words cuts text that is not a prompt, such as a task's description, in the same way as a prompt.
func Words(text string) []Word {
	normal, _ := new(buffers).appendNormal(nil, text)
	return appendWords(nil, string(normal), 1)
}

// Stem gives the hash of a lower-case word's stem: regular English endings are taken off, so that "dispute", "disputes",
// "disputed" and "disputing" are one. It is light on purpose; what it misses is left to likeness of spelling and use.
func Stem(word string) uint32 {
	base, end := stem(word)
	h := uint32(offset32)
	for i := range len(base) {
		h = mix(h, base[i])
	}
	if end != 0 {
		h = mix(h, end)
	}
	return h
}

// FNV-1a, from its authors' specification (RFC 9923).
const (
	offset32 = 2166136261
	prime32  = 16777619
)

// stem gives a word's stem as the start of the word and a last letter in place of what is cut off, 0 for none.
func stem(w string) (base string, end byte) {
	n := len(w)
	switch {
	case n <= 3:
		return w, 0
	case strings.HasSuffix(w, "ies"):
		return w[:n-3], 'i'
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"), strings.HasSuffix(w, "xes"):
		w = w[:n-2]
	case w[n-1] == 's' && w[n-2] != 's' && w[n-2] != 'u' && w[n-2] != 'i':
		w = w[:n-1]
	}
	for _, suffix := range [...]string{"ing", "ed"} {
		base, ok := strings.CutSuffix(w, suffix)
		if !ok || len(base) < 3 || !strings.ContainsAny(base, "aeiouy") {
			continue
		}
		w = base
		if k := len(w); w[k-1] == w[k-2] && !strings.ContainsRune("lsz", rune(w[k-1])) {
			w = w[:k-1] // plann, from planned, is plan; bill, from billing, stays
		}
		break
	}
	switch n := len(w); {
	case n > 3 && w[n-1] == 'e':
		w = w[:n-1]
	case n > 3 && w[n-1] == 'y':
		return w[:n-1], 'i'
	}
	return w, 0
}

// judgeable reports whether words read as English, the language the models know: most of them in Latin script, and its
// function words not outnumbered by those of other languages. A long text without any function word is not English
// either: that is how scrambled text reads.
func judgeable(words []Word) bool {
	var letters, native, foreign, other int
	for _, w := range words {
		r, _ := utf8.DecodeRuneInString(w.Text)
		if !unicode.IsDigit(r) {
			letters++
		}
		switch {
		case r >= utf8.RuneSelf && unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r):
			other++
		case w.kind&abroad != 0:
			foreign++
		case w.kind&english != 0:
			native++
		}
	}
	const long = 20
	return other*2 <= len(words) && (foreign < 2 || foreign <= native) && (letters < long || native > 0)
}

// kind is the lists below that a word is on.
type kind uint8

const (
	function kind = 1 << iota
	english
	abroad
)

// kinds are the words on any list.
var kinds = func() map[string]kind {
	kinds := map[string]kind{}
	for _, list := range []struct {
		words string
		kind  kind
	}{{englishWords, english | function}, {functionWords, function}, {foreignWords, abroad}} {
		for w := range strings.FieldsSeq(list.words) {
			kinds[w] |= list.kind
		}
	}
	return kinds
}()

// englishWords hold a sentence together and mean nothing alone.
const englishWords = `a about above after again against all also am an and any are aren't as at be because been before
	being below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during
	each few for from further had has have haven't having he her here hers him his how i i'd i'll i'm i've if in into is
	isn't it it's its itself just let's me more most my myself no nor not of off on once only or other our ours out over
	own same she should so some such than that that's the their theirs them then there these they they're this those
	through to too under until up us very was wasn't we we're were what what's when where where's which while who whom why
	will with won't would wouldn't you you'd you'll you're your yours yourself`

// functionWords are not content either: those that people wrap around a request, and those that point at other text ("do
// what is said above").
const functionWords = `please thanks thank hello hi hey ok okay yes yeah yep no nope sure like want
	need needs wants would could can may might must shall get got give gives tell show make makes know let help helps
	thing things something anything everything go going way one two some lot really much many well good now today kindly
	dear whats im ive id dont cant wont doesnt isnt hows wheres us using use used say said see look think try ask
	write draft explain create describe provide list find above following below instruction instructions message messages text prompt continue proceed follow
	assistant helpful ai chatbot model respond reply CODEBLOCK plain`

// foreignWords are function words of the commonest other languages in Latin script that are no English words.
const foreignWords = `de la el que en los las por con una un del se al lo su para como más pero sus le ya este sí porque
	esta cuando muy sin sobre también hasta donde quien desde todo nos qué mi está
	les des une pour dans qui et je vous nous est sont avec ce cette ces pas plus sur au aux mais ou où il elle mon ma mes
	votre comment pourquoi quel quelle
	der das und ist nicht ein eine einen mit für auf wie ich sie wir von zu dem den im auch sich bei nach aus wenn mein
	bitte kann oder aber noch nur über
	che di è per sono non della del gli alla questo come più anche io mio dove perché
	não uma com os dos da em você meu minha isso mais foi ao
	het een van voor niet met ik je zijn maar ook naar bij deze wat hoe waar mijn kun`

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
