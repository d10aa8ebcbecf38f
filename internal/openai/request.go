package openai

import "github.com/plumbline/plumbline/internal/core"

// Request is a request that was read strictly. What it says is what is forwarded. It is not changed after it was read.
type Request struct {
	Endpoint string // the name of the endpoint, e.g. "chat.completions"
	Model    string // empty for an owned endpoint
	Stream   bool
	// IncludeUsage says that the client itself asked for the usage chunk of a stream.
	IncludeUsage bool
	// MaxOutputTokens is the client's maximum of output tokens per choice, 0 for none.
	MaxOutputTokens int64
	// Choices is how many answers the provider makes at most (n, best_of, for each prompt of several), at least 1.
	Choices int64
	// Prompt is every string that can reach the model.
	Prompt core.Prompt
	// Objects are the objects at the provider that the request names, e.g. the response that it goes on from. What they hold
	// reaches the model and is not in Prompt: whoever forwards the request has to know that the caller may use them.
	Objects []core.ObjectRef
	// Unstored says that the client asked the provider not to keep the answer.
	Unstored bool
	// Opaque says that the prompt holds images or audio, which cannot be read.
	Opaque bool

	asked   wanted
	size    size
	splices splices
}

// wanted is what the price of a request depends on besides its text.
type wanted struct {
	tier string
	// runs is how often the provider may run tools of its own, of which each adds to what the model reads.
	runs, maxRuns int64
	picture       picture
	partial       int64 // pictures that are shown on the way to one
	speech        bool  // a chat may be answered in speech
	wave          bool  // in speech without compression
}

// size is what the input tokens of a request are reckoned from.
type size struct {
	messages int64
	tools    int64
	// textBytes is the length of all text of messages, defBytes that of tool and format definitions as JSON.
	textBytes, defBytes int64
	images, lowImages   int64
	audioTokens         int64
	// audioMillis is how long the audio files last at most.
	audioMillis int64
	// tokens is how many tokens of a prompt came as tokens, not as text.
	tokens int64
	// whole says that the input holds what the request does not: it is bounded by the model's context alone.
	whole bool
}

// splices are the places of a body where Rewrite may change it, as byte offsets.
type splices struct {
	open          int  // right after the opening brace
	streamOptions span // value of stream_options, zero if absent
	optionsEmpty  bool // it is an object without members
	optionsNull   bool
	includeUsage  span // value of stream_options.include_usage, zero if absent
	maxTokens     []limitSpan
	limit         string // the name of the member that bounds the output, empty if there is none
}

// span is a part of a body: body[from:to].
type span struct{ from, to int }

func (s span) zero() bool { return s.to == 0 }

// limitSpan is the value of the member that bounds the output, or of its older name.
type limitSpan struct {
	span
	null  bool
	value int64
}

// Says reports whether the request holds messages or searches: what a model reads as such, and not only words beside it.
func (r *Request) Says() bool { return r.size.messages > 0 }

// PromptParam names the member of the body that holds the prompt.
func (r *Request) PromptParam() string {
	switch kind := kindOf(r); {
	case r == nil: // a file
		return "file"
	case r.Endpoint == "vector_stores.search":
		return "query"
	case r.Endpoint == "conversations.create", r.Endpoint == "conversations.items.create":
		return "items"
	case kind == kindChat:
		return "messages"
	case kind == kindCompletion, kind == kindImage, kind == kindTranscript:
		return "prompt"
	default:
		return "input"
	}
}

// Edits are changes to a request before it is forwarded.
type Edits struct {
	// IncludeUsage asks a stream to report its usage at the end.
	IncludeUsage bool
	// MaxOutputTokens lowers the client's maximum per choice to this, or sets it; 0 leaves it.
	MaxOutputTokens int64
}
