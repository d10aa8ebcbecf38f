package openai

import (
	"encoding/json"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Cut is CutFor for a reason that needs no more words.
func (a *Answer) Cut(reason core.Reason) []byte {
	return a.CutFor(&core.Error{Reason: reason}, time.Time{})
}

// CutFor ends an event stream before its end and gives the bytes that do it, in the way that clients of its kind take for an
// end. They may stand in place of what the last Write gave, or follow it.
//
//   - A chat or a completion gets a last chunk that finishes every choice that is open.
//   - A response gets response.incomplete, whose sequence number is above every one before it.
//   - Pictures, speech and transcripts get a comment. An event that ends them would hold a whole picture or text that
//     there is not.
//
// Each of them ends with [DONE], although OpenAI sends it in chats and completions only: the SDKs leave any stream there, and
// would else wait for the connection to end, which a provider that goes on for too long breaks (docs/decisions/0041).
//
// The object "plumbline" of the last chunk or event says why, and for quota which limit, its numbers and its reset.
//
// No event has a member "error": the SDKs would raise on it. CutFor gives nil for an answer that cannot be ended politely: one
// that is not a stream, is already at its end, or is inside an event too long to be held back, which parsers drop when the
// stream ends.
func (a *Answer) CutFor(e *core.Error, now time.Time) []byte {
	possible := !a.cut && a.format == formatEvents && !a.Complete() && !a.stream.long
	a.cut, a.out.closed = true, true
	if !possible {
		return nil
	}
	var out []byte
	if a.stream.endedCR {
		// The client may stand behind a CR whose LF it never got, and not every parser takes a CR for the end of a line.
		// Where it stands behind an LF, an empty line more does no harm.
		out = append(out, '\n')
	}
	why := about{Reason: e.Reason}
	why.aboutQuota(e, now)
	switch a.doc.kind {
	case kindImage, kindSpeech, kindTranscript:
		out = append(out, ": plumbline "+string(e.Reason)+"\n\n"...)
	case kindResponse:
		out = append(out, "event: response.incomplete\n"...)
		out = appendData(out, a.lastEvent(why))
	default:
		out = appendData(out, a.lastChunk(why))
	}
	return append(out, "data: [DONE]\n\n"...)
}

// appendData appends the data of an event, and the end of it.
func appendData(out []byte, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return out // cannot be: what is below holds strings and numbers only
	}
	out = append(out, "data: "...)
	out = append(out, data...)
	return append(out, "\n\n"...)
}

// lastChunk ends a stream of a chat or of a completion.
type lastChunk struct {
	ID        string       `json:"id"`
	Object    string       `json:"object"`
	Created   int64        `json:"created"`
	Model     string       `json:"model"`
	Choices   []lastChoice `json:"choices"`
	Plumbline about        `json:"plumbline"`
}

// lastChoice has a delta in a chat, a text in a completion.
type lastChoice struct {
	Index        int64     `json:"index"`
	Delta        *struct{} `json:"delta,omitempty"`
	Text         *string   `json:"text,omitempty"`
	FinishReason string    `json:"finish_reason"`
}

func (a *Answer) lastChunk(why about) lastChunk {
	finish := "content_filter"
	if usedUp(why.Reason) {
		finish = "length"
	}
	chunk := lastChunk{
		ID: a.doc.id, Object: "chat.completion.chunk", Created: a.doc.created, Model: a.model(),
		Choices: []lastChoice{}, Plumbline: why,
	}
	for _, index := range a.openChoices() {
		chunk.Choices = append(chunk.Choices, lastChoice{Index: index, Delta: &struct{}{}, FinishReason: finish})
	}
	if a.doc.kind == kindCompletion {
		chunk.Object = "text_completion"
		for i := range chunk.Choices {
			chunk.Choices[i].Delta, chunk.Choices[i].Text = nil, new(string)
		}
	}
	return chunk
}

// openChoices are the choices that have begun and not finished; before any has begun, all that were asked for.
func (a *Answer) openChoices() (open []int64) {
	for _, c := range a.doc.choices {
		if !c.finished {
			open = append(open, c.index)
		}
	}
	if len(a.doc.choices) > 0 {
		return open
	}
	asked := int64(1)
	if a.o.Request != nil {
		asked = a.o.Request.Choices
	}
	for i := range asked {
		open = append(open, i)
	}
	return open
}

// lastEvent ends the stream of a response.
type lastEvent struct {
	Type           string       `json:"type"`
	SequenceNumber int64        `json:"sequence_number"`
	Response       lastResponse `json:"response"`
	Plumbline      about        `json:"plumbline"`
}

// lastResponse has every member that the SDKs take to be there. Its output is empty: the client has had it as events.
type lastResponse struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	CreatedAt         int64             `json:"created_at"`
	Status            string            `json:"status"`
	Error             *struct{}         `json:"error"`
	IncompleteDetails map[string]string `json:"incomplete_details"`
	Instructions      *string           `json:"instructions"`
	Metadata          struct{}          `json:"metadata"`
	Model             string            `json:"model"`
	Output            []struct{}        `json:"output"`
	ParallelToolCalls bool              `json:"parallel_tool_calls"`
	Temperature       *float64          `json:"temperature"`
	ToolChoice        string            `json:"tool_choice"`
	Tools             []struct{}        `json:"tools"`
	TopP              *float64          `json:"top_p"`
	Usage             *struct{}         `json:"usage"`
}

func (a *Answer) lastEvent(why about) lastEvent {
	details := "content_filter"
	if usedUp(why.Reason) {
		details = "max_output_tokens"
	}
	return lastEvent{
		Type: "response.incomplete", SequenceNumber: a.doc.sequence + 1,
		Response: lastResponse{
			ID: a.doc.id, Object: "response", CreatedAt: a.doc.created, Status: "incomplete",
			IncompleteDetails: map[string]string{"reason": details}, Model: a.model(),
			Output: []struct{}{}, ParallelToolCalls: true, ToolChoice: "auto", Tools: []struct{}{},
		},
		Plumbline: why,
	}
}

// model is the one that answers, else the one that was asked.
func (a *Answer) model() string {
	if a.doc.model == "" && a.o.Request != nil {
		return a.o.Request.Model
	}
	return a.doc.model
}

// usedUp reports whether an end is worded as one for want of room, and not as one that policy wanted.
func usedUp(r core.Reason) bool {
	switch r {
	case core.ReasonQuotaExhausted, core.ReasonRateLimited, core.ReasonConcurrencyLimit, core.ReasonRequestTooLarge,
		core.ReasonGovernanceDown, core.ReasonQuotaUnavailable, core.ReasonOverloaded:
		return true
	default:
		return false
	}
}
