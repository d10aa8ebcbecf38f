package openai

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Bounds of whole numbers and names in a request.
const (
	maxTokensValue = 1 << 31
	maxChoices     = 128
	maxModelName   = 256
)

// draft is a request while it is read: what the bodies of all endpoints have in common.
type draft struct {
	*reader
	req   *Request
	allow *Allowance
	media int // bytes of the body that are images, audio and files in base64
}

// members reads a body that is one object, member by member.
func (d *draft) members(member func(name []byte) *core.Error) *core.Error {
	d.req.splices.open = bytes.IndexByte(d.body, '{') + 1
	if e := d.object(member); e != nil {
		return e
	}
	return d.end()
}

func missing(param string) *core.Error {
	return &core.Error{Reason: core.ReasonInvalidBody, Param: param, Public: "The request body lacks " + param + "."}
}

// names are all names of members that requests have at any level below which they are fixed. One that differs from a name
// that is known only in case is a trick: some readers take it for that one.
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
	// of responses
	"instructions", "previous_response_id", "conversation", "background", "prompt", "max_output_tokens", "max_tool_calls",
	"include", "truncation", "context_management", "access_programs", "reasoning", "effort", "summary",
	"generate_summary", "context", "call_id", "status", "phase", "namespace", "encrypted_content", "file_id",
	"file_data", "file_url", "filename", "async", "caller", "defer_loading", "allowed_callers", "output_schema",
	// of the others
	"best_of", "echo", "suffix", "dimensions", "encoding_format", "size", "quality", "partial_images", "output_format",
	"output_compression", "style", "complexity", "frame_count", "frame_duration_ms", "svg", "speed", "stream_format",
	// of conversations and vector stores
	"items", "file_ids", "files", "attributes", "chunking_strategy", "static", "max_chunk_size_tokens",
	"chunk_overlap_tokens", "expires_after", "anchor", "days", "query", "filters", "key", "value", "max_num_results",
	"rewrite_query", "ranking_options", "ranker", "score_threshold",
}

// unknown is the error of a member that is not known where it stands.
func (d *draft) unknown(name []byte) *core.Error {
	for _, n := range names {
		if string(name) != n && strings.EqualFold(string(name), n) {
			return d.invalid("is spelled in another case than " + n)
		}
	}
	return d.unsupported("is not a parameter that is known here")
}

// shared reads the members that chats and responses have in common.
func (d *draft) shared(name []byte) *core.Error {
	switch string(name) {
	case "model":
		return d.model()
	case "stream":
		return d.stream()
	case "temperature", "top_p", "top_logprobs":
		return d.number()
	case "store":
		return d.store()
	case "parallel_tool_calls":
		_, e := d.boolean()
		return e
	case "user", "prompt_cache_key", "safety_identifier":
		return d.outside(core.KindMeta)
	case "metadata":
		return d.nullOr(func() *core.Error { return d.object(d.metadataMember) })
	case "prompt_cache_retention":
		return d.word("in_memory", "in-memory", "24h")
	case "prompt_cache_options":
		return d.refuseUnlessNull("changes the price of a request in a way that cannot be reckoned yet")
	case "service_tier":
		return d.tier()
	case "moderation":
		return d.nullOr(func() *core.Error { return d.object(d.moderationMember) })
	}
	return d.unknown(name)
}

func (d *draft) model() *core.Error {
	s, e := d.text()
	if e != nil {
		return e
	}
	if len(s) == 0 || len(s) > maxModelName {
		return d.invalid("must be the name of a model")
	}
	d.req.Model = string(s)
	return nil
}

func (d *draft) stream() *core.Error {
	on, e := d.boolean()
	d.req.Stream = on
	return e
}

// store reads whether the provider keeps the answer. Responses are kept unless they say no, which null does not.
func (d *draft) store() *core.Error {
	null := d.peek() == 'n'
	on, e := d.boolean()
	d.req.Unstored = !on && !null
	return e
}

func (d *draft) metadataMember(name []byte) *core.Error {
	d.add(core.RoleMeta, core.KindMeta, -1, name)
	return d.outside(core.KindMeta)
}

func (d *draft) moderationMember(name []byte) *core.Error {
	switch string(name) {
	case "model":
		return d.outside(core.KindMeta)
	case "policy":
		return d.nullOr(func() *core.Error { return d.object(d.moderationPolicy) })
	}
	return d.unknown(name)
}

func (d *draft) moderationPolicy(name []byte) *core.Error {
	switch string(name) {
	case "input", "output":
		return d.nullOr(func() *core.Error {
			return d.object(func(name []byte) *core.Error {
				if string(name) != "mode" {
					return d.unknown(name)
				}
				return d.word("score", "block")
			})
		})
	}
	return d.unknown(name)
}

// stop reads the sequences that end an answer.
func (d *draft) stop() *core.Error {
	if d.peek() == '[' {
		return d.array(func(int) *core.Error { return d.outside(core.KindMeta) })
	}
	return d.outside(core.KindMeta)
}

// voice reads the name of a voice, or the id of one that was made.
func (d *draft) voice() *core.Error {
	if d.peek() != '{' {
		return d.outside(core.KindMeta)
	}
	return d.object(func(name []byte) *core.Error {
		if string(name) != "id" {
			return d.unknown(name)
		}
		return d.outside(core.KindMeta)
	})
}

// logitBias reads a map of token ids to numbers. Its names must be digits: any other would be text that nobody judged.
func (d *draft) logitBias() *core.Error {
	return d.nullOr(func() *core.Error {
		return d.object(func(name []byte) *core.Error {
			for _, digit := range name {
				if digit < '0' || digit > '9' {
					return d.unsupported("is not the id of a token")
				}
			}
			return d.number()
		})
	})
}

// maxObjects bounds how many objects at the provider a request names: each is looked up.
const maxObjects = 100

// reference reads the id of an object at the provider. What it holds reaches a model: see Request.Objects.
func (d *draft) reference(kind core.ObjectKind) *core.Error {
	id, e := d.text()
	switch {
	case e != nil:
		return e
	case len(id) > maxModelName || !plainSegment(string(id)):
		return d.invalid("must be the id of a " + strings.ReplaceAll(string(kind), "_", " "))
	case len(d.req.Objects) >= maxObjects:
		return d.unsupported("is one more than the " + strconv.Itoa(maxObjects) + " objects that a request may name; send several requests")
	}
	d.req.Objects = append(d.req.Objects, core.ObjectRef{Kind: kind, ID: string(id)})
	return nil
}

// nullOr reads null, or what read reads.
func (d *draft) nullOr(read func() *core.Error) *core.Error {
	if null, e := d.null(); null || e != nil {
		return e
	}
	return read()
}

// refuseUnlessNull refuses any value but null.
func (d *draft) refuseUnlessNull(why string) *core.Error {
	return d.nullOr(func() *core.Error { return d.unsupported(why) })
}
