package openai

import "github.com/plumbline/plumbline/internal/core"

// Class says what is done with an endpoint.
type Class string

// The classes of endpoints.
const (
	ClassGoverned Class = "governed" // read, judged, charged
	ClassPlain    Class = "plain"    // no prompt; its answer is filtered
	ClassOwned    Class = "owned"    // objects at the provider that several callers would share; denied until owners are known
	ClassDenied   Class = "denied"
)

// Endpoint is one row of the table of endpoints.
type Endpoint struct {
	// Name is from a closed set and serves as metric label, e.g. "chat.completions".
	Name     string
	Method   string
	Template string // e.g. "/v1/models/{model}"
	Class    Class
	// BodyLimit is the largest request body in bytes, 0 where none may be sent.
	BodyLimit int64
}

// Lookup finds the row of a method and a raw :path.
func Lookup(method, path string) (Endpoint, string, *core.Error) {
	return Endpoint{}, "", &core.Error{Reason: core.ReasonEndpointNotAllowed}
}

// CheckContent refuses request bodies that are not JSON in the identity encoding.
func CheckContent(contentType, contentEncoding string) *core.Error { return nil }
