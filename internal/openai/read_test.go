package openai

import (
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// allowance is what tests allow: what the default policy does.
func allowance() Allowance {
	return Allowance{
		Images: true, Audio: true, MaxToolCalls: 8, MaxChoices: maxChoices, MaxEffort: "max", ServiceTiers: []string{"auto", "default", "flex"},
	}
}

// read reads a body of the endpoint of a name.
func read(endpoint, body string, allow Allowance) (*Request, *core.Error) {
	return Read(endpointNamed(endpoint), "application/json", []byte(body), allow)
}

func endpointNamed(name string) Endpoint {
	e := Endpoint{Name: name, Class: ClassGoverned}
	if strings.HasPrefix(name, "conversations.") || strings.HasPrefix(name, "vector_stores.") {
		e.Class = ClassOwned
	}
	return e
}

// ReadChat reads a chat as the default policy allows.
func ReadChat(body []byte) (*Request, *core.Error) {
	return read("chat.completions", string(body), allowance())
}
