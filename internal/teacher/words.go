package teacher

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// vocabulary cuts texts into the teacher's tokens, as BERT's tokenizer of lower-case English does: words and punctuation, and
// words into the longest pieces (Devlin and others, 2018, and the tokenizer published with it).
type vocabulary struct {
	ids                map[string]int32
	begin, end, absent int32
}

const (
	// maxWord is the length in characters from which a word is taken for none.
	maxWord = 100
	// maxRead is how many bytes of a text are looked at: more than maxTokens can be of.
	maxRead = 64 << 10
)

func newVocabulary(file []byte) (vocabulary, error) {
	v := vocabulary{ids: map[string]int32{}}
	for i, line := range strings.Split(strings.TrimSuffix(string(file), "\n"), "\n") {
		v.ids[strings.TrimSuffix(line, "\r")] = int32(i)
	}
	if lines := strings.Count(strings.TrimSuffix(string(file), "\n"), "\n") + 1; lines != len(v.ids) {
		return v, errors.New("teacher: the vocabulary has a token twice")
	}
	for name, id := range map[string]*int32{"[CLS]": &v.begin, "[SEP]": &v.end, "[UNK]": &v.absent} {
		var known bool
		if *id, known = v.ids[name]; !known {
			return v, errors.New("teacher: the vocabulary lacks " + name)
		}
	}
	return v, nil
}

// read gives the tokens of text, with the one that begins and the one that ends it.
func (v *vocabulary) read(text string) []int32 {
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	ids := []int32{v.begin}
	var word []rune
	end := func() {
		if len(word) > 0 {
			ids = v.cut(ids, word)
			word = word[:0]
		}
	}
	for _, r := range norm.NFD.String(strings.ToValidUTF8(text, "")) {
		if len(ids) >= maxTokens {
			break
		}
		switch {
		case unicode.IsSpace(r):
			end()
		case r == unicode.ReplacementChar, unicode.Is(unicode.C, r), unicode.Is(unicode.Mn, r):
		case isPunctuation(r), isIdeograph(r):
			end()
			ids = v.cut(ids, []rune{unicode.ToLower(r)})
		default:
			word = append(word, unicode.ToLower(r))
		}
	}
	end()
	return append(ids[:min(len(ids), maxTokens-1)], v.end)
}

// cut appends the pieces of a word: the longest that it begins with, and so on. One that is not made of pieces is absent.
func (v *vocabulary) cut(ids []int32, word []rune) []int32 {
	if len(word) > maxWord {
		return append(ids, v.absent)
	}
	from := len(ids)
	for at := 0; at < len(word); {
		prefix := ""
		if at > 0 {
			prefix = "##"
		}
		to := len(word)
		for ; to > at; to-- {
			if id, known := v.ids[prefix+string(word[at:to])]; known {
				ids = append(ids, id)
				break
			}
		}
		if to == at {
			return append(ids[:from], v.absent)
		}
		at = to
	}
	return ids
}

// isPunctuation takes all ASCII that is neither letter, digit nor space for punctuation, as the tokenizer does.
func isPunctuation(r rune) bool {
	return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~' || unicode.Is(unicode.P, r)
}

// isIdeograph reports the blocks of CJK ideographs, of which each is a word.
func isIdeograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
