package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

const (
	promptCount = 16
	promptBytes = 1900
)

// words make sentences that a classifier has to look at.
var words = strings.Fields(`invoice customer refund shipment delay quarterly report revenue forecast table column query
index database join slow explain plan optimise draft reply polite summarise meeting notes action owner deadline review
contract clause liability supplier price discount region team budget approve schedule migration rollback incident cause
metric alert dashboard latency error please write explain list compare the a for with and to of in our this last next`)

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type chatBody struct {
	Model         string         `json:"model"`
	Messages      []chatMessage  `json:"messages"`
	MaxTokens     int            `json:"max_completion_tokens,omitempty"`
	Stream        bool           `json:"stream,omitempty"`
	StreamOptions map[string]any `json:"stream_options,omitempty"`
}

// prompts are the same bodies in each run, of about 2 kB each.
func prompts() ([][]byte, error) {
	random := rand.New(rand.NewPCG(1, 2))
	bodies := make([][]byte, promptCount)
	for i := range bodies {
		body, err := json.Marshal(chatBody{Model: "gpt-4o-mini", MaxTokens: answerWords, Messages: messages(random)})
		if err != nil {
			return nil, err
		}
		bodies[i] = body
	}
	return bodies, nil
}

// streamPrompt asks for an event stream of streamWords.
func streamPrompt() ([]byte, error) {
	random := rand.New(rand.NewPCG(3, 4))
	return json.Marshal(chatBody{
		Model: "gpt-4o-mini", Messages: messages(random), Stream: true, StreamOptions: map[string]any{"include_usage": true},
	})
}

func messages(random *rand.Rand) []chatMessage {
	var text strings.Builder
	for text.Len() < promptBytes-150 {
		text.WriteString(words[random.IntN(len(words))])
		text.WriteByte(' ')
	}
	return []chatMessage{{"system", "You help a company's billing team with its daily work."}, {"user", strings.TrimSpace(text.String())}}
}
