package openai

import "github.com/plumbline/plumbline/internal/core"

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
	c.speaks(role, first)
	return nil
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
	switch c.peek() {
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
		return c.word("text", "refusal", "image_url", "input_audio", "file")
	case "text", "refusal":
		return c.spoken(core.KindText, turn)
	case "image_url":
		return c.image(turn)
	case "input_audio":
		return c.inputAudio(turn)
	case "file":
		return c.object(func(name []byte) *core.Error { return c.fileMember(name, turn) })
	case "prompt_cache_breakpoint":
		return c.refuseUnlessNull("changes the price of a request in a way that cannot be reckoned yet")
	}
	return c.unknown(name)
}
