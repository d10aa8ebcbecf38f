package openai

import "github.com/plumbline/plumbline/internal/core"

// chat is the reading of a body of POST /v1/chat/completions.
type chat struct {
	*draft
	hasMessages bool
}

func (c *chat) read() *core.Error {
	c.req.splices.limit = "max_completion_tokens"
	if e := c.members(c.member); e != nil {
		return e
	}
	if !c.hasMessages {
		return missing("messages")
	}
	return nil
}

func (c *chat) member(name []byte) *core.Error {
	switch string(name) {
	case "messages":
		c.hasMessages = true
		return c.array(c.message)
	case "stream_options":
		return c.streamOptions()
	case "max_completion_tokens", "max_tokens":
		return c.maxTokens()
	case "n":
		return c.choices(&c.req.Choices)
	case "presence_penalty", "frequency_penalty", "seed":
		return c.number()
	case "logprobs":
		_, e := c.boolean()
		return e
	case "stop":
		return c.stop()
	case "logit_bias":
		return c.logitBias()
	case "modalities":
		return c.nullOr(func() *core.Error { return c.array(c.modality) })
	case "audio":
		return c.nullOr(func() *core.Error { return c.object(c.audioMember) })
	case "reasoning_effort":
		return c.effort()
	case "verbosity":
		return c.word("low", "medium", "high")
	case "functions":
		return c.definitions(func(int) *core.Error { return c.object(c.functionMember) })
	case "tools":
		return c.definitions(c.tool)
	case "function_call", "tool_choice":
		return c.nullOr(c.toolChoice)
	case "response_format":
		return c.responseFormat()
	case "prediction":
		return c.nullOr(func() *core.Error { return c.object(c.predictionMember) })
	case "web_search_options":
		return c.nullOr(c.webSearch)
	}
	return c.shared(name)
}

// webSearch reads what a chat says of the searches that the provider runs for it.
func (c *chat) webSearch() *core.Error {
	if e := c.hosted(toolWebSearch); e != nil {
		return e
	}
	c.req.asked.runs = max(c.req.asked.runs, 1) // a chat searches once, before it answers
	return c.defined(c.schema)
}

func (c *chat) modality(int) *core.Error {
	kind, e := c.choice("text", "audio")
	c.req.asked.speech = c.req.asked.speech || kind == "audio"
	return e
}

// audioMember reads what a spoken answer is to be like. Whoever says it can get one, whatever the modalities say.
func (c *chat) audioMember(name []byte) *core.Error {
	c.req.asked.speech = true
	switch string(name) {
	case "format":
		format, e := c.choice("wav", "aac", "mp3", "flac", "opus", "pcm16")
		c.req.asked.wave = format == "wav" || format == "pcm16"
		return e
	case "voice":
		return c.voice()
	}
	return c.unknown(name)
}

func (c *chat) predictionMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("content")
	case "content":
		if c.peek() == '[' {
			return c.array(func(int) *core.Error { return c.object(c.predictionPart) })
		}
		return c.predicted()
	}
	return c.unknown(name)
}

// predicted takes predicted text into the prompt. What of it is rejected is billed as output; here it is reckoned as
// input, so that it is not free.
func (c *chat) predicted() *core.Error {
	s, e := c.optional()
	c.req.size.textBytes += int64(len(s))
	if e == nil {
		c.add(core.RoleMeta, core.KindText, -1, s)
	}
	return e
}

func (c *chat) predictionPart(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("text")
	case "text":
		return c.predicted()
	}
	return c.unknown(name)
}
