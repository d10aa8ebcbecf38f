package openai

import (
	"encoding/json"

	"github.com/plumbline/plumbline/internal/core"
)

// lastChunk ends a stream of a chat. It has no member "error": the Python SDK would raise on it.
type lastChunk struct {
	ID        string       `json:"id"`
	Object    string       `json:"object"`
	Created   int64        `json:"created"`
	Model     string       `json:"model"`
	Choices   []lastChoice `json:"choices"`
	Plumbline struct {
		Reason core.Reason `json:"reason"`
	} `json:"plumbline"`
}

type lastChoice struct {
	Index        int64    `json:"index"`
	Delta        struct{} `json:"delta"`
	FinishReason string   `json:"finish_reason"`
}

// Cut ends an event stream before its end and gives the bytes that do it: a last chunk that finishes every choice that
// is open, and [DONE]. They may stand in place of what the last Write gave, or follow it. They are nil for an answer
// that cannot be ended politely: one that is not a stream, is already at its end, or is inside an event too long to be
// held back, which parsers drop when the stream ends.
func (a *Answer) Cut(reason core.Reason) []byte {
	possible := !a.cut && a.format == formatEvents && !a.whole && !a.lost
	a.cut, a.out.closed = true, true
	if !possible {
		return nil
	}
	chunk := lastChunk{
		ID: a.doc.id, Object: "chat.completion.chunk", Created: a.doc.created, Model: a.doc.model,
		Choices: a.openChoices(finishReason(reason)),
	}
	chunk.Plumbline.Reason = reason
	if chunk.Model == "" && a.o.Request != nil {
		chunk.Model = a.o.Request.Model
	}
	data, err := json.Marshal(chunk)
	if err != nil {
		return nil // cannot be: the chunk holds strings and numbers only
	}
	var out []byte
	if a.endedCR {
		// The client may stand behind a CR whose LF it never got, and not every parser takes a CR for the end of a line.
		// Where it stands behind an LF, an empty line more does no harm.
		out = append(out, '\n')
	}
	out = append(out, "data: "...)
	out = append(out, data...)
	return append(out, "\n\ndata: [DONE]\n\n"...)
}

// openChoices are the choices that have begun and not finished; before any has begun, all that were asked for.
func (a *Answer) openChoices(finish string) []lastChoice {
	choices := []lastChoice{}
	for _, c := range a.doc.choices {
		if !c.finished {
			choices = append(choices, lastChoice{Index: c.index, FinishReason: finish})
		}
	}
	if len(a.doc.choices) > 0 {
		return choices
	}
	asked := int64(1)
	if a.o.Request != nil {
		asked = a.o.Request.Choices
	}
	for i := range asked {
		choices = append(choices, lastChoice{Index: i, FinishReason: finish})
	}
	return choices
}

// finishReason is how OpenAI words the end: used up, or not allowed.
func finishReason(r core.Reason) string {
	switch r {
	case core.ReasonQuotaExhausted, core.ReasonRateLimited, core.ReasonConcurrencyLimit, core.ReasonRequestTooLarge,
		core.ReasonGovernanceDown, core.ReasonOverloaded:
		return "length"
	default:
		return "content_filter"
	}
}
