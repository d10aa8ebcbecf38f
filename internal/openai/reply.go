package openai

import (
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Reply is a finished answer of Plumbline's own.
type Reply struct {
	Status int
	Header [][2]string
	Body   []byte
}

// ErrorContext is what a reply says besides the error.
type ErrorContext struct {
	RequestID, Policy, NoticeURL string
	Now                          time.Time
}

// ErrorReply renders an error.
func ErrorReply(e *core.Error, c ErrorContext) Reply { return Reply{} }
