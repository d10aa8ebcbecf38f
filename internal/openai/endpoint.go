package openai

import (
	"cmp"
	"mime"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Class says what is done with an endpoint.
type Class string

// The classes of endpoints.
const (
	ClassGoverned Class = "governed" // read, judged, charged
	ClassPlain    Class = "plain"    // no prompt in it; the answer is filtered
	ClassOwned    Class = "owned"    // objects that somebody made at the provider: for whoever made them
	ClassDenied   Class = "denied"
)

// Access is what a request does to objects at the provider.
type Access string

// The kinds of access.
const (
	AccessNone   Access = ""
	AccessMake   Access = "make"   // the answer says its id
	AccessList   Access = "list"   // the answer holds those of everybody
	AccessUse    Access = "use"    // the path names it
	AccessDelete Access = "delete" // the same
)

// NameUnknown is the name of an endpoint that is not in the table.
const NameUnknown = "unknown"

// Bounds of request bodies, in bytes. What is judged of a body is at most maxJSONBody everywhere; images, audio and files in
// base64 come on top where the endpoint takes them.
const (
	maxJSONBody  = 4 << 20
	maxMediaBody = 32 << 20
)

// Endpoint is one row of the table of endpoints.
type Endpoint struct {
	// Name is from a closed set and serves as metric label, e.g. "chat.completions". Several rows may share one.
	Name     string
	Method   string
	Template string // e.g. "/v1/models/{model}"
	Class    Class
	// BodyLimit is the largest request body in bytes, 0 where none may be sent.
	BodyLimit int64
	// Access says what a request does to an object of the kind Object. Those that its path names besides are used: see Named.
	Access Access
	Object core.ObjectKind
	// Form says that the body is multipart/form-data, and not JSON.
	Form bool
}

// Why an endpoint is denied, and the words that end every such refusal.
const (
	whyUngoverned = "is not governed yet"
	whyUnread     = "would let prompts pass unread or uncharged"
	whyOwned      = "reaches objects that all callers of this provider account share"
	whyMints      = "hands out credentials or settings that pass by the gateway"
	whyAdmin      = "changes the provider account"

	whyRetired = "is not taken by the provider any more"

	whatIsAllowed = " Allowed are POST to /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, " +
		"/v1/moderations, /v1/images/generations, /v1/images/edits, /v1/audio/speech, /v1/audio/transcriptions and " +
		"/v1/audio/translations, GET /v1/models and /v1/models/{model}, and what was made through this gateway under " +
		"/v1/responses, /v1/conversations, /v1/files and /v1/vector_stores."
)

// family is a group of rows that share a name.
type family struct {
	name      string
	class     Class
	bodyLimit int64
	form      bool
	why       string // for a denied one
	access    Access
	object    core.ObjectKind
	query     []string // names that the query of an owned one may have
	routes    []string // "METHOD METHOD /template"
}

// route is a node of the tree of paths: its fixed continuations, the one that takes any segment, and the rows that end
// here by method.
type route struct {
	fixed map[string]*route
	param *route
	rows  map[string]row
}

type row struct {
	endpoint Endpoint
	denied   *core.Error // nil for an allowed one
	query    []string
}

// routes is built once from the tables and never changes.
var routes = buildRoutes(slices.Concat(families, ownedFamilies, storeFamilies))

// EndpointNames lists the names of the endpoints that calls can reach, in the order of the tables.
func EndpointNames() []string {
	var names []string
	for _, f := range slices.Concat(families, ownedFamilies, storeFamilies) {
		if f.class != ClassDenied && !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// HasPrompt reports whether requests to an endpoint of this name can hold what a model reads as a prompt, now or later: no others
// are judged.
func HasPrompt(name string) bool {
	switch name {
	case "conversations.create", "conversations.items.create", "vector_stores.search":
		return true
	}
	return slices.ContainsFunc(families, func(f family) bool { return f.name == name && f.class == ClassGoverned })
}

// EndpointsWithoutPrompt lists those of EndpointNames that HasPrompt does not hold for.
func EndpointsWithoutPrompt() []string { return slices.DeleteFunc(EndpointNames(), HasPrompt) }

func buildRoutes(families []family) *route {
	root := &route{}
	for _, f := range families {
		for _, r := range f.routes {
			fields := strings.Fields(r)
			template := fields[len(fields)-1]
			node := root.descend(template)
			for _, method := range fields[:len(fields)-1] {
				e := Endpoint{
					Name: f.name, Method: method, Template: template, Class: f.class, BodyLimit: f.bodyLimit, Form: f.form,
					Access: f.access, Object: f.object,
				}
				entry := row{endpoint: e, query: f.query}
				if f.why != "" {
					entry.denied = notAllowed(method + " " + template + " " + f.why + ".")
				}
				node.rows[method] = entry
			}
		}
	}
	return root
}

// descend finds or makes the node of a template.
func (n *route) descend(template string) *route {
	for segment := range strings.SplitSeq(template[1:], "/") {
		next := n.fixed[segment]
		if strings.HasPrefix(segment, "{") {
			next = n.param
		}
		if next == nil {
			next = &route{rows: map[string]row{}}
			if strings.HasPrefix(segment, "{") {
				n.param = next
			} else {
				if n.fixed == nil {
					n.fixed = map[string]*route{}
				}
				n.fixed[segment] = next
			}
		}
		n = next
	}
	return n
}

// Lookup finds the row of a method and a raw :path, which may carry a query, and what it names: the path's first parameter
// (the model of "models.get", the object of an owned endpoint), or the object that a list goes on after. A denied endpoint
// comes with endpoint_not_allowed, and with the name "unknown" when there is no row. An owned one comes with
// unsupported_parameter when its query is not understood.
//
// Paths match exactly or not at all: percent-encoding, dot segments, empty segments, path parameters, backslashes and
// anything but printable ASCII match no row, so that no spelling reaches the provider that was judged as another.
func Lookup(method, path string) (Endpoint, string, *core.Error) {
	unknown := Endpoint{Name: NameUnknown, Method: method, Class: ClassDenied}
	path, query, _ := strings.Cut(path, "?")
	if len(path) > maxPath || !strings.HasPrefix(path, "/") || !plainQuery(query) {
		return unknown, "", notAllowed("This path is not one of the OpenAI API's.")
	}
	node, param := routes, ""
	for segment := range strings.SplitSeq(path[1:], "/") {
		next := node.fixed[segment]
		if next == nil && node.param != nil && plainSegment(segment) {
			next, param = node.param, cmp.Or(param, segment)
		}
		if next == nil {
			return unknown, "", notAllowed("This path is not one of the OpenAI API's, or is not spelled exactly as there.")
		}
		node = next
	}
	found, ok := node.rows[method]
	if !ok {
		return unknown, "", notAllowed("This path does not take this method.")
	}
	if found.denied != nil {
		denied := *found.denied
		return found.endpoint, "", &denied
	}
	if found.endpoint.Class == ClassOwned {
		after, err := ownedQuery(query, found.query)
		return found.endpoint, cmp.Or(param, after), err
	}
	return found.endpoint, param, nil
}

// maxPath bounds paths and queries, in bytes.
const maxPath = 1024

// IsID reports whether s has the form that ids of objects at the provider have.
func IsID(s string) bool { return len(s) <= maxID && plainSegment(s) }

const maxID = 128

// plainSegment reports whether s can stand for a path parameter: an id in characters that no server decodes.
func plainSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

func plainQuery(s string) bool {
	if len(s) > maxPath {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

func notAllowed(what string) *core.Error {
	return &core.Error{Reason: core.ReasonEndpointNotAllowed, Public: what + whatIsAllowed}
}

// CheckContent refuses a request body that the endpoint does not take: it takes a form or JSON in UTF-8, without
// compression. What cannot be read as it stands cannot be judged.
func CheckContent(e Endpoint, contentType, contentEncoding string) *core.Error {
	if encoded(contentEncoding) {
		return &core.Error{
			Reason: core.ReasonUnsupportedMediaType,
			Public: "The request body is compressed (content-encoding). Send it as it is.",
		}
	}
	if e.Form {
		if _, ok := boundaryOf(contentType); !ok {
			return unsupportedForm()
		}
		return nil
	}
	if contentType == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err == nil && media == "application/json" {
		charset, given := params["charset"]
		delete(params, "charset")
		if len(params) == 0 && (!given || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return notJSON()
}

func notJSON() *core.Error {
	return &core.Error{
		Reason: core.ReasonUnsupportedMediaType,
		Public: "The request body must be JSON in UTF-8. Send content-type: application/json.",
	}
}
