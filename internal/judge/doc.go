// Package judge asks a language model whether a prompt is on its task, for people who label prompts. What it says is a
// proposal: it decides nothing, and counts for nothing until a person says the same or otherwise.
//
// The model is reached over the chat completions of the OpenAI API, which many servers speak. The text of a prompt leaves the
// deployment on that way, after secrets and personal data were masked in it.
//
// # Contract
//
// The prompt is hostile. It is sent as a string within a JSON document, apart from the instructions, and the answer has to be
// one JSON object of a fixed form: whatever else comes back is no proposal. A prompt that talks the model round still gets no
// more than one of three words and a short text in front of a person who reads the prompt as well.
//
// Everything is bounded: requests per minute, the time and the number of attempts of each, what is sent and what is read. No
// error holds a prompt, a key, or text of the server.
//
// The package imports core, redact and wait alone of Plumbline; it must not know the store, the audit or the gate.
package judge
