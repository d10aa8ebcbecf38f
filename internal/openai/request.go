package openai

import "github.com/plumbline/plumbline/internal/core"

// Request is a request as it was read.
type Request struct {
	Endpoint        string
	Model           string
	Stream          bool
	IncludeUsage    bool
	MaxOutputTokens int64
	Choices         int64
	Prompt          core.Prompt
	HasTools        bool
	Opaque          bool
}

// Edits are changes to a request.
type Edits struct {
	IncludeUsage    bool
	MaxOutputTokens int64
}

// ReadChat reads the body of POST /v1/chat/completions.
func ReadChat(body []byte) (*Request, *core.Error) { return nil, nil }

// Rewrite splices edits into body.
func (r *Request) Rewrite(body []byte, e Edits) []byte { return body }

// InputBound is an upper bound on input tokens.
func (r *Request) InputBound() int64 { return 0 }

// CountInput counts input tokens.
func (r *Request) CountInput() int64 { return 0 }
