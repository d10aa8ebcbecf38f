package openai

import (
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// input reads a text, or the items of a conversation.
func (r *responses) input() *core.Error {
	switch r.peek() {
	case '"':
		r.req.size.messages++
		return r.prompted(core.RoleUser, 0)
	case '[':
		return r.array(r.item)
	default:
		return r.mismatch("a string or an array of items")
	}
}

// items are the types of items that can be judged, with the members that each may have. An item that the API has and that
// is not here stands for what the provider keeps, or is a call of a tool that it runs (see callOf).
var items = map[string][]string{
	"message":                 {"role", "content", "id", "status", "phase"},
	"function_call":           {"arguments", "call_id", "name", "namespace", "id", "status", "async", "caller"},
	"function_call_output":    {"output", "call_id", "name", "namespace", "id", "status", "caller"},
	"custom_tool_call":        {"input", "call_id", "name", "namespace", "id", "status", "async", "caller"},
	"custom_tool_call_output": {"output", "call_id", "id", "status", "caller"},
	"reasoning":               {"summary", "content", "encrypted_content", "id", "status"},
}

// callOf gives the tool of the provider's that an item is a call of, as a policy calls it; empty if it is none.
func callOf(kind string) string {
	switch kind {
	case "web_search_call":
		return toolWebSearch
	case "code_interpreter_call":
		return toolCodeInterpreter
	case "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response":
		return toolMCP
	case "file_search_call":
		return toolFileSearch
	}
	return ""
}

// item is one item of the input while it is read. Which members it may have depends on its type, which may come last.
type item struct {
	*responses
	turn   int
	kind   string
	role   core.Role
	seen   []string
	sealed bool // it holds reasoning that only the provider can read
}

func (r *responses) item(turn int) *core.Error {
	first := len(r.req.Prompt.Parts)
	r.req.size.messages++
	i := item{responses: r, turn: turn, kind: "message"}
	if e := r.object(i.member); e != nil {
		return e
	}
	if e := i.check(); e != nil {
		return e
	}
	r.speaks(i.speaker(), first)
	return nil
}

func (i *item) member(name []byte) *core.Error {
	if string(name) == "type" {
		return i.readKind()
	}
	i.seen = append(i.seen, string(name))
	switch string(name) {
	case "role":
		role, e := i.choice("user", "assistant", "system", "developer")
		i.role = core.Role(role)
		return e
	case "content", "output", "summary":
		if i.peek() != '{' {
			return i.content()
		}
	case "name", "namespace":
		return i.spoken(core.KindName, i.turn)
	case "arguments", "input":
		if i.peek() == '"' {
			return i.spoken(core.KindCall, i.turn)
		}
	case "id", "call_id":
		return i.spoken(core.KindMeta, i.turn)
	case "encrypted_content":
		return i.seal()
	case "status":
		return i.word("in_progress", "completed", "incomplete", "searching", "interpreting", "calling", "failed")
	case "phase":
		return i.word("commentary", "final_answer")
	case "async":
		_, e := i.boolean()
		return e
	case "caller":
		return i.refuseUnlessNull("is a tool that calls others, past the gateway")
	}
	return i.foreign(name, core.KindCall, "", i.turn)
}

func (i *item) readKind() *core.Error {
	if null, e := i.null(); null || e != nil {
		return e
	}
	s, e := i.text()
	if i.kind = string(s); e != nil || items[i.kind] != nil {
		return e
	}
	tool := callOf(i.kind)
	if tool == "" {
		return i.unsupported("is an item that cannot be judged, or that names what is kept at the provider; send what it holds")
	}
	return i.hosted(tool)
}

// seal reads reasoning in a form that the provider made and only it can read.
func (i *item) seal() *core.Error {
	return i.nullOr(func() *core.Error {
		s, e := i.text()
		switch {
		case e != nil:
			return e
		case !isBase64(s):
			return i.unsupported("must be base64")
		}
		i.sealed = true
		i.req.size.textBytes += int64(len(s))
		i.unread(i.turn, "application/octet-stream")
		return nil
	})
}

// check holds the members to the type.
func (i *item) check() *core.Error {
	if callOf(i.kind) != "" {
		return nil
	}
	for _, name := range i.seen {
		if !slices.Contains(items[i.kind], name) {
			return i.unsupported("has a member that an item of the type " + i.kind + " does not have")
		}
	}
	switch {
	case i.kind == "message" && !slices.Contains(i.seen, "content"):
		// An item with an id alone stands for one that the provider keeps.
		return i.invalid("lacks content")
	case i.kind == "message" && i.role == "":
		return i.invalid("lacks a role")
	case i.kind == "reasoning" && !i.sealed && slices.Contains(i.seen, "id"):
		return i.unsupported("names reasoning that is kept at the provider; send its encrypted_content, or leave the item out")
	}
	return nil
}

// speaker is the role in whose name an item speaks.
func (i *item) speaker() core.Role {
	switch {
	case i.kind == "message":
		return i.role
	case strings.HasSuffix(i.kind, "_output"), callOf(i.kind) != "":
		return core.RoleTool
	}
	return core.RoleAssistant
}

// content reads what an item holds: text, or parts of several kinds.
func (i *item) content() *core.Error {
	switch i.peek() {
	case 'n', '"':
		return i.spoken(core.KindText, i.turn)
	case '[':
		return i.array(func(int) *core.Error { return i.part() })
	default:
		return i.mismatch("a string or an array of parts")
	}
}

func (i *item) part() *core.Error {
	image, detail := false, ""
	e := i.object(func(name []byte) *core.Error {
		switch string(name) {
		case "type":
			return i.word("input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text",
				"input_image", "input_audio", "input_file")
		case "text", "refusal":
			return i.spoken(core.KindText, i.turn)
		case "annotations", "logprobs": // sent back by clients that repeat an answer whole
			return i.strings(func(s []byte) { i.say(core.KindMeta, i.turn, s) })
		case "image_url":
			return i.nullOr(func() *core.Error {
				image = true
				return i.imageURL(i.turn)
			})
		case "detail":
			var e *core.Error
			detail, e = i.choice("auto", "low", "high", "original")
			return e
		case "input_audio":
			return i.inputAudio(i.turn)
		case "file_id", "file_data", "file_url", "filename":
			return i.fileMember(name, i.turn)
		case "prompt_cache_breakpoint":
			return i.refuseUnlessNull("changes the price of a request in a way that cannot be reckoned yet")
		}
		return i.unknown(name)
	})
	if image {
		i.picture(detail)
	}
	return e
}
