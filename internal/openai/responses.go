package openai

import "github.com/plumbline/plumbline/internal/core"

// responses is the reading of a body of POST /v1/responses.
type responses struct {
	*draft
	hasInput bool
}

func (r *responses) read() *core.Error {
	r.req.splices.limit = "max_output_tokens"
	if e := r.members(r.member); e != nil {
		return e
	}
	if !r.hasInput {
		return missing("input")
	}
	if r.req.asked.runs == 0 {
		return nil
	}
	if r.req.asked.maxRuns == 0 {
		e := missing("max_tool_calls")
		e.Public += " It bounds what tools that the provider runs may cost."
		return e
	}
	r.req.asked.runs = r.req.asked.maxRuns
	return nil
}

func (r *responses) member(name []byte) *core.Error {
	switch string(name) {
	case "input":
		r.hasInput = true
		return r.input()
	case "instructions":
		return r.nullOr(func() *core.Error { return r.prompted(core.RoleSystem, -1) })
	case "previous_response_id":
		return r.named(core.ObjectResponse)
	case "conversation":
		return r.inConversation()
	case "max_output_tokens":
		return r.maxTokens()
	case "max_tool_calls":
		return r.toolCalls()
	case "stream_options":
		return r.nullOr(func() *core.Error { return r.object(r.streamMember) })
	case "reasoning":
		return r.nullOr(func() *core.Error { return r.object(r.reasoningMember) })
	case "text":
		return r.nullOr(func() *core.Error { return r.defined(func() *core.Error { return r.object(r.textMember) }) })
	case "tools":
		return r.definitions(r.tool)
	case "tool_choice":
		return r.nullOr(r.toolChoice)
	case "include":
		return r.nullOr(func() *core.Error { return r.array(func(int) *core.Error { return r.included() }) })
	case "truncation":
		return r.word("auto", "disabled")
	}
	return r.refused(name)
}

// refused reads what cannot be judged or charged yet, and is refused unless it is off.
func (r *responses) refused(name []byte) *core.Error {
	switch string(name) {
	case "background":
		on, e := r.boolean()
		if e == nil && on {
			return r.unsupported("would have the answer fetched later, where it cannot be charged; leave it out, or set it to false")
		}
		return e
	case "prompt":
		return r.refuseUnlessNull("names a prompt that is kept at the provider and cannot be judged; send its text as instructions and input")
	case "context_management":
		return r.refuseUnlessNull("would have the provider run models whose work cannot be charged yet")
	case "access_programs":
		return r.refuseUnlessNull("changes what the provider's account may do")
	}
	return r.shared(name)
}

// named notes an object at the provider that the request goes on from.
func (r *responses) named(kind core.ObjectKind) *core.Error {
	return r.nullOr(func() *core.Error { return r.reference(kind) })
}

func (r *responses) inConversation() *core.Error {
	if r.peek() != '{' {
		return r.named(core.ObjectConversation)
	}
	return r.object(func(name []byte) *core.Error {
		if string(name) != "id" {
			return r.unknown(name)
		}
		return r.named(core.ObjectConversation)
	})
}

func (r *responses) streamMember(name []byte) *core.Error {
	if string(name) != "include_obfuscation" {
		return r.unknown(name)
	}
	_, e := r.boolean()
	return e
}

func (r *responses) reasoningMember(name []byte) *core.Error {
	switch string(name) {
	case "effort":
		return r.effort()
	case "summary", "generate_summary":
		return r.word("auto", "concise", "detailed")
	case "context":
		return r.word("auto", "current_turn", "all_turns")
	case "mode":
		// In the mode "pro" several models may work on one answer.
		return r.word("standard")
	}
	return r.unknown(name)
}

// textMember reads the form of the answer.
func (r *responses) textMember(name []byte) *core.Error {
	switch string(name) {
	case "verbosity":
		return r.word("low", "medium", "high")
	case "format":
		return r.nullOr(func() *core.Error {
			return r.object(func(name []byte) *core.Error {
				if string(name) == "type" {
					return r.word("text", "json_object", "json_schema")
				}
				return r.formatSchemaMember(name)
			})
		})
	}
	return r.unknown(name)
}

// included reads what the answer is to show beside itself.
func (r *responses) included() *core.Error {
	return r.word("reasoning.encrypted_content", "message.output_text.logprobs", "message.input_image.image_url",
		"web_search_call.results", "web_search_call.action.sources", "code_interpreter_call.outputs",
		"file_search_call.results", "computer_call_output.output.image_url")
}
