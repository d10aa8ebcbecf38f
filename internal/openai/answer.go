package openai

import "github.com/plumbline/plumbline/internal/core"

// AnswerOptions says what is known of an answer before its body.
type AnswerOptions struct {
	Request                      *Request
	Status                       int
	ContentType, ContentEncoding string
	StripUsage                   bool
	FilterModels                 func(model string) bool
}

// Answer reads one answer of the provider while it passes.
type Answer struct{}

// NewAnswer starts to read.
func NewAnswer(o AnswerOptions) *Answer { return &Answer{} }

// Write takes one chunk.
func (a *Answer) Write(chunk []byte, end bool) (forward []byte, changed bool) { return chunk, false }

// Usage is what the provider reported.
func (a *Answer) Usage() (core.Usage, bool) { return core.Usage{}, false }

// ServedModel is the model that the provider named.
func (a *Answer) ServedModel() string { return "" }

// Complete reports whether the answer is whole.
func (a *Answer) Complete() bool { return false }

// DeliveredBound bounds the output tokens delivered so far.
func (a *Answer) DeliveredBound() int64 { return 0 }

// CountDelivered counts the output tokens delivered so far.
func (a *Answer) CountDelivered() int64 { return 0 }

// Cut ends the answer.
func (a *Answer) Cut(reason core.Reason) []byte { return nil }
