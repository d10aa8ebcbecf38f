package openai

import (
	"bytes"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Bounds of whole numbers in a chat request.
const (
	maxTokensValue = 1 << 31
	maxChoices     = 128
	maxModelName   = 256
)

// ReadChat reads the body of POST /v1/chat/completions. Every member of the public API is known; a member that is not,
// or that asks for what cannot be judged or priced, is refused with unsupported_parameter. A body that is not strict
// JSON of the right types is refused with invalid_body and the byte offset.
func ReadChat(body []byte) (*Request, *core.Error) {
	if len(body) == 0 {
		return nil, &core.Error{Reason: core.ReasonInvalidBody, Public: "The request body is empty. Send a JSON object."}
	}
	c := chat{reader: newReader(body), req: &Request{Endpoint: "chat.completions", Choices: 1}}
	c.req.Prompt.Parts = make([]core.Part, 0, 8)
	c.req.splices.open = bytes.IndexByte(body, '{') + 1
	if e := c.object(c.member); e != nil {
		return nil, e
	}
	if e := c.end(); e != nil {
		return nil, e
	}
	if c.req.Model == "" {
		return nil, missing("model")
	}
	if !c.hasMessages {
		return nil, missing("messages")
	}
	return c.req, nil
}

func missing(param string) *core.Error {
	return &core.Error{Reason: core.ReasonInvalidBody, Param: param, Public: "The request body lacks " + param + "."}
}

// chat is the reading of one chat request.
type chat struct {
	*reader
	req         *Request
	hasMessages bool
}

// names are all names of members that chat requests have at any level below which they are fixed. One that differs
// from a name that follows only in case is a trick: some readers take it for that one.
var names = []string{
	"model", "messages", "stream", "stream_options", "include_usage", "include_obfuscation", "max_completion_tokens",
	"max_tokens", "n", "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logprobs",
	"top_logprobs", "stop", "user", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
	"prompt_cache_breakpoint", "safety_identifier", "metadata", "store", "parallel_tool_calls", "logit_bias",
	"modalities", "audio", "service_tier", "reasoning_effort", "verbosity", "moderation", "functions", "function_call",
	"tools", "tool_choice", "response_format", "prediction", "web_search_options", "role", "content", "name", "refusal",
	"tool_calls", "tool_call_id", "annotations", "type", "text", "image_url", "input_audio", "file", "url", "detail",
	"data", "format", "voice", "id", "function", "custom", "arguments", "input", "description", "parameters", "strict",
	"grammar", "definition", "syntax", "allowed_tools", "mode", "json_schema", "schema", "policy", "output",
}

// unknown is the error of a member that is not known where it stands.
func (c *chat) unknown(name []byte) *core.Error {
	for _, n := range names {
		if string(name) != n && strings.EqualFold(string(name), n) {
			return c.invalid("is spelled in another case than " + n)
		}
	}
	return c.unsupported("is not a parameter that is known here")
}

func (c *chat) member(name []byte) *core.Error {
	switch string(name) {
	case "model":
		return c.model()
	case "messages":
		c.hasMessages = true
		return c.array(c.message)
	case "stream":
		on, e := c.boolean()
		c.req.Stream = on
		return e
	case "stream_options":
		return c.streamOptions()
	case "max_completion_tokens", "max_tokens":
		return c.maxTokens()
	case "n":
		n, null, _, e := c.integer(maxChoices)
		if e == nil && !null {
			c.req.Choices = max(n, 1)
		}
		return e
	case "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "top_logprobs":
		return c.number()
	case "logprobs", "store", "parallel_tool_calls":
		_, e := c.boolean()
		return e
	case "user", "prompt_cache_key", "safety_identifier":
		return c.outside(core.KindMeta)
	case "stop":
		if c.dec.PeekKind() == '[' {
			return c.array(func(int) *core.Error { return c.outside(core.KindMeta) })
		}
		return c.outside(core.KindMeta)
	case "metadata":
		return c.nullOr(func() *core.Error { return c.object(c.metadataMember) })
	case "prompt_cache_retention":
		return c.word("in_memory", "in-memory", "24h")
	case "logit_bias":
		return c.logitBias()
	case "modalities":
		return c.nullOr(func() *core.Error { return c.array(func(int) *core.Error { return c.word("text", "audio") }) })
	case "audio":
		return c.nullOr(func() *core.Error { return c.object(c.audioMember) })
	case "service_tier":
		// The other tiers cost more than the table of prices knows.
		return c.word("auto", "default", "flex")
	case "reasoning_effort":
		return c.word("none", "minimal", "low", "medium", "high", "xhigh", "max")
	case "verbosity":
		return c.word("low", "medium", "high")
	case "moderation":
		return c.nullOr(func() *core.Error { return c.object(c.moderationMember) })
	case "functions":
		c.req.HasTools = true
		return c.definitions(func(int) *core.Error { return c.object(c.functionMember) })
	case "tools":
		c.req.HasTools = true
		return c.definitions(c.tool)
	case "function_call", "tool_choice":
		return c.nullOr(c.toolChoice)
	case "response_format":
		return c.responseFormat()
	case "prediction":
		return c.nullOr(func() *core.Error { return c.object(c.predictionMember) })
	case "web_search_options":
		return c.refuseUnlessNull("would let the model search the web, which is not allowed by default")
	case "prompt_cache_options":
		return c.refuseUnlessNull("changes the price of a request in a way that cannot be reckoned yet")
	}
	return c.unknown(name)
}

func (c *chat) model() *core.Error {
	s, e := c.text()
	if e != nil {
		return e
	}
	if len(s) == 0 || len(s) > maxModelName {
		return c.invalid("must be the name of a model")
	}
	c.req.Model = string(s)
	return nil
}

func (c *chat) streamOptions() *core.Error {
	s := &c.req.splices
	null, e := c.null()
	end := int(c.dec.InputOffset())
	if e != nil {
		return e
	}
	if null {
		s.streamOptions, s.optionsNull = span{end - len("null"), end}, true
		return nil
	}
	// The value begins at its brace, which follows the name, a colon and white space.
	from := end
	for from < len(c.body) && c.body[from] != '{' {
		from++
	}
	s.optionsEmpty = true
	e = c.object(func(name []byte) *core.Error {
		s.optionsEmpty = false
		switch string(name) {
		case "include_usage":
			on, e := c.boolean()
			if e != nil {
				return e
			}
			c.req.IncludeUsage = on
			to := int(c.dec.InputOffset())
			s.includeUsage = span{to - len(literal(c.body[:to])), to}
			return nil
		case "include_obfuscation":
			_, e := c.boolean()
			return e
		}
		return c.unknown(name)
	})
	s.streamOptions = span{from, int(c.dec.InputOffset())}
	return e
}

// literal is the word (true, false or null) that b ends with.
func literal(b []byte) []byte {
	from := len(b)
	for from > 0 && b[from-1] >= 'a' && b[from-1] <= 'z' {
		from--
	}
	return b[from:]
}

func (c *chat) maxTokens() *core.Error {
	n, null, at, e := c.integer(maxTokensValue)
	if e != nil {
		return e
	}
	for _, l := range c.req.splices.maxTokens {
		if !l.null && !null {
			return c.invalid("is given besides the other maximum; give max_completion_tokens alone")
		}
	}
	c.req.splices.maxTokens = append(c.req.splices.maxTokens, limitSpan{span: at, null: null, value: n})
	if !null {
		c.req.MaxOutputTokens = n
	}
	return nil
}

// logitBias reads a map of token ids to numbers. Its names must be digits: any other would be text that nobody judged.
func (c *chat) logitBias() *core.Error {
	return c.nullOr(func() *core.Error {
		return c.object(func(name []byte) *core.Error {
			for _, d := range name {
				if d < '0' || d > '9' {
					return c.unsupported("is not the id of a token")
				}
			}
			return c.number()
		})
	})
}

func (c *chat) audioMember(name []byte) *core.Error {
	switch string(name) {
	case "format":
		return c.word("wav", "aac", "mp3", "flac", "opus", "pcm16")
	case "voice":
		if c.dec.PeekKind() == '{' {
			return c.object(func(name []byte) *core.Error {
				if string(name) != "id" {
					return c.unknown(name)
				}
				return c.outside(core.KindMeta)
			})
		}
		return c.outside(core.KindMeta)
	}
	return c.unknown(name)
}

func (c *chat) moderationMember(name []byte) *core.Error {
	switch string(name) {
	case "model":
		return c.outside(core.KindMeta)
	case "policy":
		return c.nullOr(func() *core.Error { return c.object(c.moderationPolicy) })
	}
	return c.unknown(name)
}

func (c *chat) moderationPolicy(name []byte) *core.Error {
	switch string(name) {
	case "input", "output":
		return c.nullOr(func() *core.Error {
			return c.object(func(name []byte) *core.Error {
				if string(name) != "mode" {
					return c.unknown(name)
				}
				return c.word("score", "block")
			})
		})
	}
	return c.unknown(name)
}

func (c *chat) predictionMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("content")
	case "content":
		if c.dec.PeekKind() == '[' {
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

func (c *chat) metadataMember(name []byte) *core.Error {
	c.add(core.RoleMeta, core.KindMeta, -1, name)
	return c.outside(core.KindMeta)
}

// nullOr reads null, or what read reads.
func (c *chat) nullOr(read func() *core.Error) *core.Error {
	if null, e := c.null(); null || e != nil {
		return e
	}
	return read()
}

// refuseUnlessNull refuses any value but null.
func (c *chat) refuseUnlessNull(why string) *core.Error {
	return c.nullOr(func() *core.Error { return c.unsupported(why) })
}

// outside takes a string, or null, into the prompt as something that belongs to no message.
func (c *chat) outside(kind core.Kind) *core.Error {
	s, e := c.optional()
	if e == nil {
		c.add(core.RoleMeta, kind, -1, s)
	}
	return e
}

func (c *chat) add(role core.Role, kind core.Kind, turn int, text []byte) {
	if len(text) == 0 {
		return
	}
	c.req.Prompt.Parts = append(c.req.Prompt.Parts, core.Part{Role: role, Kind: kind, Turn: turn, Text: string(text)})
}
