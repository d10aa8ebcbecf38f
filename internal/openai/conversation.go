package openai

import (
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// ReadConversation reads the body of POST /v1/conversations and POST /v1/conversations/{conversation_id}, which may be
// empty. Metadata is taken: it is kept beside the conversation, and no model reads it. Items are refused with
// unsupported_parameter: they are prompts that would pass unread.
func ReadConversation(body []byte) *core.Error {
	if len(body) == 0 {
		return nil
	}
	r := newReader(body)
	if e := r.object(func(name []byte) *core.Error { return conversationMember(r, name) }); e != nil {
		return e
	}
	return r.end()
}

func conversationMember(r *reader, name []byte) *core.Error {
	switch n := string(name); {
	case n == "metadata":
		if null, e := r.null(); null || e != nil {
			return e
		}
		return r.object(func([]byte) *core.Error {
			_, e := r.text()
			return e
		})
	case n == "items":
		return noItems(r)
	case strings.EqualFold(n, "metadata"), strings.EqualFold(n, "items"):
		return r.invalid("is spelled in another case than " + strings.ToLower(n))
	}
	return r.unsupported("is not a parameter that is known here")
}

// noItems takes none, as null or an empty list.
func noItems(r *reader) *core.Error {
	if null, e := r.null(); null || e != nil {
		return e
	}
	return r.array(func(int) *core.Error {
		return &core.Error{
			Reason: core.ReasonUnsupportedParameter, Param: "items",
			Public: "Items of a conversation would pass unread. Send them as input of POST /v1/responses with this conversation, where they are judged.",
		}
	})
}
