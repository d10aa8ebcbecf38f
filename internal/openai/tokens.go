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
	for _, p := range r.Prompt.Parts {
		if p.Kind == core.KindOpaque || p.Kind == core.KindMeta && p.Turn < 0 {
			continue // by table, or not read by the model
		}
		n += count(p.Text)
	}
	return min(n, r.InputBound())
}

// counter counts the tokens of a text.
type counter func(text string) int64

// The vocabularies are large: each is unpacked when it is first needed, and never changes.
var (
	o200k  = sync.OnceValue(func() counter { return newCounter(tokenizer.O200kBase) })
	cl100k = sync.OnceValue(func() counter { return newCounter(tokenizer.Cl100kBase) })
)

// WarmTokenizer unpacks the vocabulary that most models use, so that no request has to wait for it.
func WarmTokenizer() { o200k() }

// counterOf picks the tokenizer of a model. Only models before gpt-4o have the older one.
func counterOf(model string) counter {
	model = strings.TrimPrefix(model, "ft:")
	if strings.HasPrefix(model, "gpt-3.5") || model == "gpt-4" || strings.HasPrefix(model, "gpt-4-") {
		return cl100k()
	}
	return o200k()
}

func newCounter(encoding tokenizer.Encoding) counter {
	codec, err := tokenizer.Get(encoding)
	if err != nil {
		return bytesOf
	}
	return func(text string) int64 {
		n, err := codec.Count(text)
		if err != nil {
			return bytesOf(text)
		}
		return int64(n)
	}
}

// bytesOf bounds the tokens of a text that no tokenizer counted.
func bytesOf(text string) int64 { return int64(len(text)) }
