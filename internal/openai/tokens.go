package openai

import (
	"math"
	"strings"
	"sync"

	"github.com/tiktoken-go/tokenizer"

	"github.com/plumbline/plumbline/internal/core"
)

// What the provider adds around text, in tokens. The figures are its own for the chat format, rounded up.
const (
	tokensPerPrompt   = 3  // the answer is primed
	tokensPerMessage  = 5  // role and delimiters: 3 or 4; 1 for a name
	tokensPerTool     = 16 // how a definition is laid out
	tokensForTools    = 64 // once, where there are any
	tokensForFormat   = 32
	tokensPerCall     = 8 // a tool call in an answer: its frame
	tokensPerLowImage = 85
)

// audioBytesPerToken is how much base64 at least stands for one token of audio: a token is 50 to 100 ms, which at
// 16 kbit/s, the least that speech is coded with, are 130 bytes and more.
const audioBytesPerToken = 128

// imageTokens is the most an image costs by model, after the provider's tables: the largest size in high detail. The
// first prefix that fits counts.
var imageTokens = []struct {
	prefix string
	most   int64
}{
	{"gpt-4o-mini", 2833 + 8*5667},
	{"gpt-4o", 85 + 8*170},
	{"gpt-4.1-mini", 2489},
	{"gpt-4.1-nano", 3779},
	{"gpt-4.1", 85 + 8*170},
	{"gpt-5-mini", 2489},
	{"gpt-5-nano", 3779},
	{"gpt-5", 70 + 8*140},
	{"o4-mini", 2642},
	{"o1", 75 + 8*150},
	{"o3", 75 + 8*150},
	{"gpt-image-1", 65 + 8*129 + 6240}, // at high fidelity
	{"", 2833 + 8*5667},                // unknown: as the dearest
}

func imageBound(model string) int64 {
	for _, t := range imageTokens {
		if strings.HasPrefix(model, t.prefix) {
			return t.most
		}
	}
	return math.MaxInt32
}

// InputBound is an upper bound on the input tokens, without a tokenizer: no token of a byte-pair encoding is shorter
// than a byte. Images and audio count by table.
func (r *Request) InputBound() int64 {
	return r.size.textBytes + r.size.defBytes + r.framing()
}

// framing is all input that is not text.
func (r *Request) framing() int64 {
	n := tokensPerPrompt + r.size.messages*tokensPerMessage + r.size.tools*tokensPerTool
	if r.size.tools > 0 {
		n += tokensForTools
	}
	if r.size.defBytes > 0 {
		n += tokensForFormat
	}
	return n + r.imageTokens() + r.audioTokens()
}

// imageTokens bounds the input tokens of the pictures, audioTokens those of the audio.
func (r *Request) imageTokens() int64 {
	image, low := imageBound(r.Model), int64(tokensPerLowImage)
	if strings.HasPrefix(r.Model, "gpt-4o-mini") {
		low = 2833
	}
	return r.size.images*image + r.size.lowImages*min(low, image)
}

func (r *Request) audioTokens() int64 {
	return r.size.audioTokens + r.size.audioMillis/millisPerToken
}

// CountInput counts the input tokens with the model's tokenizer, framing added. It is never above InputBound, and takes
// about a microsecond for each token.
func (r *Request) CountInput() int64 {
	count := counterOf(r.Model)
	n := r.framing()
	n += r.size.tokens
	for _, p := range r.Prompt.Parts {
		switch {
		case p.Kind == core.KindOpaque, p.Kind == core.KindMeta && p.Turn < 0:
			continue // by table, or not read by the model
		case r.size.tokens > 0 && p.Role == core.RoleUser && p.Turn == 0:
			continue // it came as tokens, which may be others than the tokenizer would choose
		}
		n += count(p.Text)
	}
	return min(n, r.InputBound())
}

// counter counts the tokens of a text.
type counter func(text string) int64

// vocabulary is what turns text into tokens and back.
type vocabulary struct {
	count  counter
	decode func(tokens []uint) (string, bool)
}

// The vocabularies are large: each is unpacked when it is first needed, and never changes.
var (
	o200k  = sync.OnceValue(func() vocabulary { return newVocabulary(tokenizer.O200kBase) })
	cl100k = sync.OnceValue(func() vocabulary { return newVocabulary(tokenizer.Cl100kBase) })
)

// WarmTokenizer unpacks the vocabulary that most models use, so that no request has to wait for it.
func WarmTokenizer() { o200k() }

// counterOf picks the tokenizer of a model. Models that are not known have the newer one.
func counterOf(model string) counter {
	if hasOlderTokens(model) {
		return cl100k().count
	}
	return o200k().count
}

// decodeTokens gives the text that tokens stand for, of a model of which it is known. Only the models before gpt-4o take
// prompts as tokens.
func decodeTokens(model string, tokens []uint) (string, bool) {
	if !hasOlderTokens(model) {
		return "", false
	}
	return cl100k().decode(tokens)
}

// hasOlderTokens reports whether a model has the vocabulary of the models before gpt-4o.
func hasOlderTokens(model string) bool {
	model = strings.TrimPrefix(model, "ft:")
	for _, prefix := range []string{"gpt-3.5", "gpt-4-", "babbage-002", "davinci-002", "text-embedding-"} {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	return model == "gpt-4"
}

func newVocabulary(encoding tokenizer.Encoding) vocabulary {
	codec, err := tokenizer.Get(encoding)
	if err != nil {
		return vocabulary{bytesOf, func([]uint) (string, bool) { return "", false }}
	}
	return vocabulary{
		count: func(text string) int64 {
			n, err := codec.Count(text)
			if err != nil {
				return bytesOf(text)
			}
			return int64(n)
		},
		decode: func(tokens []uint) (string, bool) {
			text, err := codec.Decode(tokens)
			return text, err == nil
		},
	}
}

// bytesOf bounds the tokens of a text that no tokenizer counted.
func bytesOf(text string) int64 { return int64(len(text)) }
