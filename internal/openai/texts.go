package openai

import (
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// texts is the reading of a prompt that is a text, several of them, or the tokens of one or several.
type texts struct {
	*draft
	read    bool
	prompts int64    // how many there are
	tokens  [][]uint // of prompts that came as tokens
}

// readTexts reads the value. All prompts are one turn: they are judged together.
func (t *texts) readTexts() *core.Error {
	t.read = true
	switch t.peek() {
	case '"':
		return t.one()
	case '[':
		return t.several()
	default:
		return t.mismatch("a string, or an array of strings or of tokens")
	}
}

func (t *texts) one() *core.Error {
	t.prompts++
	t.req.size.messages++
	return t.prompted(core.RoleUser, 0)
}

func (t *texts) several() *core.Error {
	var flat []uint
	e := t.array(func(int) *core.Error {
		switch kind := t.peek(); {
		case kind == '"' && len(t.tokens) == 0 && flat == nil:
			return t.one()
		case kind == '[' && t.prompts == 0 && flat == nil:
			var tokens []uint
			e := t.array(func(int) *core.Error { return t.tokenID(&tokens) })
			t.tokens = append(t.tokens, tokens)
			return e
		case kind == '0' && t.prompts == 0 && len(t.tokens) == 0:
			return t.tokenID(&flat)
		}
		return t.mismatch("of the same kind as the elements before it")
	})
	if flat != nil {
		t.tokens = [][]uint{flat}
	}
	return e
}

// tokenID reads the number of one token.
func (t *texts) tokenID(into *[]uint) *core.Error {
	n, null, _, e := t.integer(maxTokenID)
	if e == nil && null {
		return t.invalid("must be the number of a token")
	}
	*into = append(*into, uint(n))
	return e
}

// maxTokenID is above the number of any token.
const maxTokenID = 1 << 20

// decode takes prompts that came as tokens into the prompt as the text that they stand for. It needs the model's name,
// which may come after them. A model of which the vocabulary is not known is refused, and so is a token that stands for no
// text: nobody could judge them.
func (t *texts) decode(param string) *core.Error {
	if !t.read {
		return missing(param)
	}
	for i, tokens := range t.tokens {
		text, ok := decodeTokens(t.req.Model, tokens)
		if !ok {
			e := &core.Error{Reason: core.ReasonUnsupportedParameter, Param: param}
			e.Public = param + " holds tokens that cannot be read as text for this model, and so cannot be judged. Send the text itself."
			if len(t.tokens) > 1 {
				e.Param += "[" + strconv.Itoa(i) + "]"
			}
			return e
		}
		t.prompts++
		t.req.size.messages++
		t.req.size.textBytes += int64(len(text))
		t.req.size.tokens += int64(len(tokens))
		t.add(core.RoleUser, core.KindText, 0, []byte(strings.ToValidUTF8(text, "\uFFFD")))
	}
	return nil
}

// completions is the reading of a body of POST /v1/completions.
type completions struct {
	*draft
	prompt  texts
	n, best int64
}

// defaultCompletion is the maximum of output tokens of a completion that names none, by the provider's reference.
const defaultCompletion = 16

func (c *completions) read() *core.Error {
	c.req.splices.limit = "max_tokens"
	c.req.MaxOutputTokens = defaultCompletion
	c.prompt.draft = c.draft
	if e := c.members(c.member); e != nil {
		return e
	}
	if e := c.prompt.decode("prompt"); e != nil {
		return e
	}
	c.req.Choices = max(c.n, c.best, 1) * max(c.prompt.prompts, 1)
	return nil
}

func (c *completions) member(name []byte) *core.Error {
	switch string(name) {
	case "prompt":
		return c.prompt.readTexts()
	case "model":
		return c.model()
	case "stream":
		return c.stream()
	case "stream_options":
		return c.streamOptions()
	case "max_tokens":
		return c.maxTokens()
	case "n":
		return c.choices(&c.n)
	case "best_of":
		return c.choices(&c.best)
	case "echo":
		on, e := c.boolean()
		if e == nil && on {
			return c.unsupported("would repeat the prompt in the answer, where it cannot be told from what is charged as output")
		}
		return e
	case "suffix":
		return c.nullOr(func() *core.Error { return c.prompted(core.RoleUser, 1) })
	case "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logprobs":
		return c.number()
	case "stop":
		return c.stop()
	case "logit_bias":
		return c.logitBias()
	case "user":
		return c.outside(core.KindMeta)
	}
	return c.unknown(name)
}

// embeddings is the reading of a body of POST /v1/embeddings.
type embeddings struct {
	*draft
	input texts
}

func (m *embeddings) read() *core.Error {
	m.input.draft = m.draft
	if e := m.members(m.member); e != nil {
		return e
	}
	return m.input.decode("input")
}

func (m *embeddings) member(name []byte) *core.Error {
	switch string(name) {
	case "input":
		return m.input.readTexts()
	case "model":
		return m.model()
	case "dimensions":
		_, _, _, e := m.integer(maxTokensValue)
		return e
	case "encoding_format":
		return m.word("float", "base64")
	case "user":
		return m.outside(core.KindMeta)
	}
	return m.unknown(name)
}

// moderations is the reading of a body of POST /v1/moderations.
type moderations struct {
	*draft
	hasInput bool
}

// defaultModeration is the model that moderates where none is named, by the provider's reference.
const defaultModeration = "omni-moderation-latest"

func (m *moderations) read() *core.Error {
	m.req.Model = defaultModeration
	if e := m.members(m.member); e != nil {
		return e
	}
	if !m.hasInput {
		return missing("input")
	}
	return nil
}

func (m *moderations) member(name []byte) *core.Error {
	switch string(name) {
	case "input":
		m.hasInput = true
		return m.input()
	case "model":
		return m.nullOr(m.model)
	}
	return m.unknown(name)
}

// input reads a text, several, or parts of which some are images.
func (m *moderations) input() *core.Error {
	m.req.size.messages++
	if m.peek() != '[' {
		return m.prompted(core.RoleUser, 0)
	}
	first := len(m.req.Prompt.Parts)
	e := m.array(func(int) *core.Error {
		if m.peek() != '{' {
			return m.prompted(core.RoleUser, 0)
		}
		return m.object(m.partMember)
	})
	m.speaks(core.RoleUser, first)
	return e
}

func (m *moderations) partMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return m.word("text", "image_url")
	case "text":
		return m.prompted(core.RoleUser, 0)
	case "image_url":
		return m.image(0)
	}
	return m.unknown(name)
}
