package openai

import (
	"github.com/plumbline/plumbline/internal/core"
)

// definitions reads a list of tools or functions. Their whole JSON counts as input: names, braces and all.
func (d *draft) definitions(element func(i int) *core.Error) *core.Error {
	return d.nullOr(func() *core.Error {
		return d.defined(func() *core.Error {
			return d.array(func(i int) *core.Error {
				d.req.size.tools++
				return element(i)
			})
		})
	})
}

// tool reads one tool that the caller defines. Tools that the provider runs itself are refused: what they send and
// fetch passes by the gateway.
func (c *chat) tool(int) *core.Error {
	return c.object(func(name []byte) *core.Error {
		switch string(name) {
		case "type":
			return c.word("function", "custom")
		case "function":
			return c.object(c.functionMember)
		case "custom":
			return c.object(c.customMember)
		}
		return c.unknown(name)
	})
}

func (c *chat) functionMember(name []byte) *core.Error {
	switch string(name) {
	case "name":
		return c.outside(core.KindName)
	case "description":
		return c.outside(core.KindSchema)
	case "parameters":
		return c.schema()
	case "strict":
		_, e := c.boolean()
		return e
	}
	return c.unknown(name)
}

func (c *chat) customMember(name []byte) *core.Error {
	switch string(name) {
	case "name":
		return c.outside(core.KindName)
	case "description":
		return c.outside(core.KindSchema)
	case "format":
		return c.nullOr(func() *core.Error { return c.object(c.customFormatMember) })
	}
	return c.unknown(name)
}

func (c *chat) customFormatMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("text", "grammar")
	case "grammar":
		return c.object(func(name []byte) *core.Error {
			switch string(name) {
			case "definition":
				return c.outside(core.KindSchema)
			case "syntax":
				return c.word("lark", "regex")
			}
			return c.unknown(name)
		})
	}
	return c.unknown(name)
}

// toolChoice reads tool_choice and the older function_call: a word, or which tools by name.
func (c *chat) toolChoice() *core.Error {
	if c.peek() == '"' {
		return c.word("none", "auto", "required")
	}
	return c.object(c.choiceMember)
}

func (c *chat) choiceMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("function", "custom", "allowed_tools")
	case "mode":
		return c.word("auto", "required")
	case "name":
		return c.outside(core.KindName)
	case "function", "custom", "allowed_tools":
		return c.object(c.choiceMember)
	case "tools":
		return c.array(func(int) *core.Error { return c.object(c.choiceMember) })
	}
	return c.unknown(name)
}

func (c *chat) responseFormat() *core.Error {
	return c.nullOr(func() *core.Error {
		return c.defined(func() *core.Error { return c.object(c.formatMember) })
	})
}

func (c *chat) formatMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return c.word("text", "json_object", "json_schema")
	case "json_schema":
		return c.object(c.formatSchemaMember)
	}
	return c.unknown(name)
}

func (d *draft) formatSchemaMember(name []byte) *core.Error {
	switch string(name) {
	case "name":
		return d.outside(core.KindName)
	case "description":
		return d.outside(core.KindSchema)
	case "schema":
		return d.schema()
	case "strict":
		_, e := d.boolean()
		return e
	}
	return d.unknown(name)
}
