package openai

import (
	"slices"

	"github.com/plumbline/plumbline/internal/core"
)

// toolOf gives the tool that the provider runs for a type of tool, as a policy calls it; empty for one that is not known.
func toolOf(kind string) string {
	switch kind {
	case "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11":
		return toolWebSearch
	case toolCodeInterpreter, toolMCP, toolFileSearch:
		return kind
	}
	return ""
}

// tool reads one tool. Which members it may have depends on its type, which may come last: those that only a tool of the
// provider's can have are read as text, and allowed or not once the type is known.
func (r *responses) tool(int) *core.Error {
	kind, foreign := "", ""
	e := r.object(func(name []byte) *core.Error {
		switch string(name) {
		case "type":
			s, e := r.text()
			if kind = string(s); e != nil || kind == "function" || kind == "custom" {
				return e
			}
			return r.run(toolOf(kind))
		case "name":
			return r.outside(core.KindName)
		case "description":
			return r.outside(core.KindSchema)
		case "parameters", "output_schema":
			return r.schema()
		case "strict", "async", "defer_loading":
			_, e := r.boolean()
			return e
		case "format":
			return r.nullOr(func() *core.Error { return r.object(r.grammarMember) })
		case "allowed_callers":
			return r.refuseUnlessNull("would have other tools call it, past the gateway")
		}
		if foreign == "" {
			foreign = string(name)
		}
		return r.foreign(name, core.KindSchema, "", -1)
	})
	switch {
	case e != nil:
		return e
	case kind == "":
		return r.invalid("lacks a type")
	case foreign != "" && toolOf(kind) == "":
		return r.unsupported("has a member that a " + kind + " does not have")
	}
	return nil
}

// run lets the provider run a tool, if the policy does.
func (r *responses) run(tool string) *core.Error {
	if tool == "" {
		return r.unsupported("is a tool that cannot be governed; use function or custom")
	}
	r.req.asked.runs = 1
	return r.hosted(tool)
}

// grammarMember reads the format of a custom tool's input.
func (r *responses) grammarMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		return r.word("text", "grammar")
	case "definition":
		return r.outside(core.KindSchema)
	case "syntax":
		return r.word("lark", "regex")
	}
	return r.unknown(name)
}

// toolChoice reads a word, or which tools by name.
func (r *responses) toolChoice() *core.Error {
	if r.peek() == '"' {
		return r.word("none", "auto", "required")
	}
	return r.object(r.choiceMember)
}

func (r *responses) choiceMember(name []byte) *core.Error {
	switch string(name) {
	case "type":
		s, e := r.text()
		if kind := string(s); e == nil && toolOf(kind) == "" && kind != "function" && kind != "custom" && kind != "allowed_tools" {
			return r.unsupported("is a tool that cannot be governed")
		}
		return e
	case "mode":
		return r.word("auto", "required")
	case "name", "server_label":
		return r.outside(core.KindName)
	case "tools":
		return r.array(func(int) *core.Error { return r.object(r.choiceMember) })
	}
	return r.unknown(name)
}

// foreign reads a member of a tool that the provider runs, or of a call of one: all of its strings are text, whatever they
// mean. Those that name objects at the provider are refused.
func (r *responses) foreign(name []byte, kind core.Kind, role core.Role, turn int) *core.Error {
	if len(r.allow.HostedTools) == 0 {
		return r.unknown(name)
	}
	take := func(s []byte) {
		r.req.size.textBytes += int64(len(s))
		r.add(role, kind, turn, s)
	}
	if turn < 0 {
		role = core.RoleMeta
	}
	take(name)
	return r.foreignValue(name, take)
}

func (r *responses) foreignValue(name []byte, take func([]byte)) *core.Error {
	if kind, known := objectNames[string(name)]; known && r.peek() != 'n' && r.peek() != '{' {
		return r.foreignObject(kind)
	}
	switch r.peek() {
	case '{':
		return r.object(func(name []byte) *core.Error {
			take(name)
			return r.foreignValue(name, take)
		})
	case '[':
		return r.array(func(int) *core.Error { return r.foreignValue(name, take) })
	default:
		return r.strings(take)
	}
}

// foreignObject reads the ids of objects of a kind that a search in files may name. All others are refused.
func (r *responses) foreignObject(kind core.ObjectKind) *core.Error {
	switch {
	case kind == "" || !slices.Contains(r.allow.HostedTools, toolFileSearch):
		if _, e := r.value(); e != nil {
			return e
		}
		return r.unsupported("names an object at the provider that all callers of this gateway share, or an address that it would fetch")
	case r.peek() == '[':
		return r.array(func(int) *core.Error { return r.reference(kind) })
	default:
		return r.reference(kind)
	}
}

// objectNames are the members of hosted tools and of their calls that name objects at the provider, or have it fetch some,
// with the kind of those of which it is known whose they are.
var objectNames = map[string]core.ObjectKind{
	"vector_store_ids": core.ObjectVectorStore, "file_id": core.ObjectFile,
	"file_ids": "", "container": "", "container_id": "", "connector_id": "", "skill_id": "", "image_url": "",
}
