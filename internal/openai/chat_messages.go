package openai

import (
	"bytes"

	"github.com/plumbline/plumbline/internal/core"
)

// roles maps the roles of the API to those of the prompt.
func roleOf(s []byte) (core.Role, bool) {
	switch string(s) {
	case "system":
		return core.RoleSystem, true
	case "developer":
		return core.RoleDeveloper, true
	case "user":
		return core.RoleUser, true
	case "assistant":
		return core.RoleAssistant, true
	case "tool", "function":
		return core.RoleTool, true
	}
	return "", false
}

// message reads one message. Its role may come after its text: it is filled in at the end.
func (c *chat) message(turn int) *core.Error {
	first := len(c.req.Prompt.Parts)
	var role core.Role
	c.req.size.messages++
	e := c.object(func(name []byte) *core.Error {
		switch string(name) {
		case "role":
			s, e := c.text()
			if e != nil {
				return e
			}
			var known bool
			if role, known = roleOf(s); !known {
				return c.unsupported("is not a role that is known")
			}
			return nil
		case "content":
			return c.content(turn)
		case "name":
			return c.spoken(core.KindName, turn)
		case "refusal":
			return c.spoken(core.KindText, turn)
		case "tool_calls":
			return c.nullOr(func() *core.Error {
				return c.array(func(int) *core.Error {
					return c.object(func(name []byte) *core.Error { return c.callMember(name, turn) })
				})
			})
		case "function_call":
			return c.nullOr(func() *core.Error {
				return c.object(func(name []byte) *core.Error { return c.calledMember(name, turn) })
			})
		case "tool_call_id":
			return c.spoken(core.KindMeta, turn)
		case "annotations": // sent back by clients that repeat an answer whole
			return c.strings(func(s []byte) { c.say(core.KindMeta, turn, s) })
		case "audio":
			return c.refuseUnlessNull("names an object at the provider that all callers of this gateway share")
		}
		return c.unknown(name)
	})
	if e != nil {
		return e
	}
	if role == "" {
		return c.invalid("lacks a role")
	}
	for i := range c.req.Prompt.Parts[first:] {
		c.req.Prompt.Parts[first+i].Role = role
	}
	return nil
}

// spoken takes a string, or null, into the prompt as part of a message.
func (c *chat) spoken(kind core.Kind, turn int) *core.Error {
	s, e := c.optional()
	if e == nil {
		c.say(kind, turn, s)
	}
	return e
}

// say adds to a message. Its role is filled in at the message's end.
func (c *chat) say(kind core.Kind, turn int, s []byte) {
	c.req.size.textBytes += int64(len(s))
	c.add("", kind, turn, s)
}

func (c *chat) callMember(name []byte, turn int) *core.Error {
	switch string(name) {
	case "id":
		return c.spoken(core.KindMeta, turn)
	case "type":
		return c.word("function", "custom")
	case "function", "custom":
		return c.object(func(name []byte) *core.Error { return c.calledMember(name, turn) })
	}
	return c.unknown(name)
}

func (c *chat) calledMember(name []byte, turn int) *core.Error {
	switch string(name) {
	case "name":
		return c.spoken(core.KindName, turn)
	case "arguments", "input":
		return c.spoken(core.KindCall, turn)
	}
	return c.unknown(name)
}

// content reads a message's content: text, or parts of several kinds.
func (c *chat) content(turn int) *core.Error {
	switch c.dec.PeekKind() {
	case 'n', '"':
		return c.spoken(core.KindText, turn)
	case '[':
		return c.array(func(int) *core.Error {
			return c.object(func(name []byte) *core.Error { return c.partMember(name, turn) })
		})
	default:
		return c.mismatch("a string or an array of parts")
	}
}

func (c *chat) partMember(name []byte, turn int) *core.Error {
	switch string(name) {
	case "type":
		return c.word("text", "refusal", "image_url", "input_audio")
	case "text", "refusal":
		return c.spoken(core.KindText, turn)
	case "image_url":
		return c.image(turn)
	case "input_audio":
		return c.audio(turn)
	case "file":
		return c.unsupported("cannot be read, and files are not allowed by default")
	case "prompt_cache_breakpoint":
		return c.refuseUnlessNull("changes the price of a request in a way that cannot be reckoned yet")
	}
	return c.unknown(name)
}

func (c *chat) image(turn int) *core.Error {
	detail := ""
	e := c.object(func(name []byte) *core.Error {
		switch string(name) {
		case "url":
			url, e := c.text()
			if e != nil {
				return e
			}
			return c.imageData(url, turn)
		case "detail":
			var e *core.Error
			detail, e = c.choice("auto", "low", "high", "original")
			return e
		}
		return c.unknown(name)
	})
	if detail == "low" {
		c.req.size.lowImages++
	} else {
		c.req.size.images++
	}
	return e
}

// imageData takes an image that is in the request itself (RFC 2397). One that the provider would fetch is refused: the
// address carries text past the prompt, and what is behind it may change after it was judged.
func (c *chat) imageData(url []byte, turn int) *core.Error {
	rest, ok := bytes.CutPrefix(url, []byte("data:image/"))
	if !ok {
		return c.unsupported("must be a data: URL of an image; images to be fetched by the provider are not allowed by default")
	}
	media, data, ok := bytes.Cut(rest, []byte(";base64,"))
	if !ok || !mediaSubtype(media) || !isBase64(data) {
		return c.unsupported("must be a data: URL of an image in base64")
	}
	c.opaque(turn, "image/"+string(media))
	return nil
}

func (c *chat) audio(turn int) *core.Error {
	format := ""
	e := c.object(func(name []byte) *core.Error {
		switch string(name) {
		case "data":
			data, e := c.text()
			if e != nil {
				return e
			}
			if !isBase64(data) {
				return c.unsupported("must be base64")
			}
			c.req.size.audioTokens += int64(len(data))/audioBytesPerToken + 1
			return nil
		case "format":
			var e *core.Error
			format, e = c.choice("wav", "mp3")
			return e
		}
		return c.unknown(name)
	})
	if e == nil {
		c.opaque(turn, "audio/"+format)
	}
	return e
}

// opaque notes in the prompt what cannot be read.
func (c *chat) opaque(turn int, media string) {
	c.req.Opaque = true
	c.req.Prompt.Parts = append(c.req.Prompt.Parts, core.Part{Kind: core.KindOpaque, Turn: turn, Text: media})
}

// mediaSubtype reports whether b is the second half of a media type, without parameters.
func mediaSubtype(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxKey
}

// isBase64 reports whether b has the letters of base64 only: anything else could be text.
func isBase64(b []byte) bool {
	b = bytes.TrimRight(b, "=")
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
