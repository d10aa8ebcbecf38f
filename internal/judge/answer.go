package judge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
	// maxRationale is how much of the rationale is kept, in characters.
	maxRationale = 300
)

// Verdict is what a judge says of a prompt.
type Verdict string

// The verdicts.
const (
	OnTask  Verdict = "on_task"
	OffTask Verdict = "off_task"
	Unsure  Verdict = "unsure"
)

func (v Verdict) result() Result {
	if v == Unsure {
		return Undecided
	}
	return Proposed
}

// Answer is what a judge says, and why in at most 300 printable characters. The words are the model's: they may quote the
// prompt.
type Answer struct {
	Verdict   Verdict
	Rationale string
}

// send makes the exchange. An error is an *Error.
func (j *Judge) send(ctx context.Context, body []byte) (status int, header http.Header, data []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, unreached(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "plumbline")
	if key := j.o.Key(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := j.http.Do(req)
	if err != nil {
		return 0, nil, nil, unreached(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, res.Header, nil, nil // what is in it may quote the prompt, and tells nobody
	}
	data, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err == nil && ctx.Err() != nil: // a server that sees the connection go may still end its answer in order
		err = ctx.Err()
		fallthrough
	case err != nil:
		return 0, nil, nil, unreached(err)
	case len(data) > maxAnswer:
		return 0, nil, nil, unusable("is too long")
	}
	return res.StatusCode, res.Header, data, nil
}

// completion is what is looked at of a chat completion. Servers add to the rest of it.
type completion struct {
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content   *string          `json:"content"`
			Refusal   *string          `json:"refusal"`
			ToolCalls []jsontext.Value `json:"tool_calls"`
		} `json:"message"`
	} `json:"choices"`
}

// parseAnswer reads a chat completion whose content has to be one JSON object of the form that was asked for, and nothing
// else: no text around it, no other member, none twice. The error is an *Error that quotes nothing.
func parseAnswer(data []byte) (Answer, error) {
	var c completion
	if err := json.Unmarshal(data, &c); err != nil || len(c.Choices) != 1 {
		return Answer{}, unusable("is no chat completion")
	}
	choice := c.Choices[0]
	m := choice.Message
	switch {
	case m.Refusal != nil && *m.Refusal != "":
		return Answer{}, unusable("declines")
	case choice.FinishReason != "stop" || len(m.ToolCalls) > 0 || m.Content == nil:
		return Answer{}, unusable("is not complete")
	}
	var a struct {
		Verdict   *Verdict `json:"verdict"`
		Rationale *string  `json:"rationale"`
	}
	err := json.Unmarshal([]byte(*m.Content), &a, json.RejectUnknownMembers(true))
	if err != nil || a.Verdict == nil || a.Rationale == nil {
		return Answer{}, unusable("is not of the form that was asked for")
	}
	switch *a.Verdict {
	case OnTask, OffTask, Unsure:
		return Answer{*a.Verdict, plain(*a.Rationale)}, nil
	}
	return Answer{}, unusable("is not of the form that was asked for")
}

// plain is a text on one line, without characters that a reader would not see, and cut to what is kept.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	words := []rune(strings.Join(strings.Fields(s), " "))
	if len(words) > maxRationale {
		words = append(words[:maxRationale-1], '…')
	}
	return string(words)
}
