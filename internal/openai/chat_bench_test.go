package openai

import (
	"fmt"
	"strings"
	"testing"
)

// chat2k is a conversation of about 2 kB.
func chat2k() []byte {
	words := strings.Repeat("Please summarise the invoice of the customer and list each position with its price.\\n", 6)
	return fmt.Appendf(nil, `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You help an accountant."},`+
		`{"role":"user","content":"%s"},{"role":"assistant","content":"%s"},{"role":"user","content":"%s"}],`+
		`"temperature":0.2,"max_completion_tokens":512,"stream":true}`, words, words, words)
}

func BenchmarkRewrite2kB(b *testing.B) {
	body := chat2k()
	r, _ := ReadChat(body)
	b.ReportAllocs()
	for b.Loop() {
		r.Rewrite(body, Edits{IncludeUsage: true, MaxOutputTokens: 256})
	}
}

func BenchmarkCountInput2kB(b *testing.B) {
	r, _ := ReadChat(chat2k())
	r.CountInput()
	b.ReportAllocs()
	for b.Loop() {
		r.CountInput()
	}
}

const benchChunk = `data: {"id":"chatcmpl-C4HqHBe4xca0k0EzsCnf1t6V3YFXp","object":"chat.completion.chunk","created":1755137933,` +
	`"model":"gpt-5-nano-2025-08-07","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,` +
	`"delta":{"content":" there"},"finish_reason":null}],"usage":null,"obfuscation":"LcdzdJdMMgDHt6"}` + "\n\n"

func BenchmarkAnswerChunk(b *testing.B) {
	a := NewAnswer(AnswerOptions{
		Request: &Request{Model: "gpt-5-nano", Stream: true, Choices: 1}, Status: 200,
		ContentType: "text/event-stream", StripUsage: true,
	})
	chunk := []byte(benchChunk)
	b.ReportAllocs()
	for b.Loop() {
		a.Write(chunk, false)
		a.DeliveredBound()
		if a.out.pending > 1<<14 {
			a.out.reset()
		}
	}
}

func BenchmarkErrorReply(b *testing.B) {
	_, _, err := Lookup("POST", "/v1/realtime/sessions")
	b.ReportAllocs()
	for b.Loop() {
		ErrorReply(err, ErrorContext{RequestID: "x"})
	}
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Lookup("POST", "/v1/chat/completions")
	}
}
