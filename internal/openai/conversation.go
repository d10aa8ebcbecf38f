package openai

import "github.com/plumbline/plumbline/internal/core"

// conversation is the reading of a body of POST /v1/conversations, /v1/conversations/{conversation_id} and
// /v1/conversations/{conversation_id}/items. Items are read as the input of a response is: a model reads them later.
// Metadata is kept beside the conversation, and no model reads it.
type conversation struct {
	responses
	hasItems bool
}

func (c *conversation) read() *core.Error {
	if e := c.members(c.member); e != nil {
		return e
	}
	if !c.hasItems && c.req.Endpoint == "conversations.items.create" {
		return missing("items")
	}
	return nil
}

func (c *conversation) member(name []byte) *core.Error {
	switch n := string(name); {
	case n == "metadata" && c.req.Endpoint != "conversations.items.create":
		return c.nullOr(func() *core.Error { return c.object(c.metadataMember) })
	case n == "items" && c.req.Endpoint != "conversations.update":
		return c.nullOr(func() *core.Error {
			c.hasItems = true
			return c.array(c.item)
		})
	}
	return c.unknown(name)
}
