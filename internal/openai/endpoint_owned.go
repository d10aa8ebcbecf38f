package openai

import (
	"net/url"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// maxOwnedBody bounds a body that holds no items: a search, or a name, sixteen pairs of attributes and a hundred ids, in
// bytes.
const maxOwnedBody = 256 << 10

var (
	includes = []string{"include", "include[]", "beta"} // beta=true: the SDKs' beta client says it in every path
	pages    = []string{"after", "limit", "order", "include", "include[]", "beta"}
	beta     = []string{"beta"}
	// A vector store holds its owner's files alone, so that its pages are the provider's. Those of all stores are filtered.
	storePages = []string{"after", "limit", "order"}
	filePages  = []string{"after", "before", "limit", "order", "filter"}
)

// Fields of a request that name objects: what it goes on from, and what it reads or searches in.
const (
	ParamPrevious     = "previous_response_id"
	ParamConversation = "conversation"
	ParamFile         = "file_id"
	ParamStores       = "vector_store_ids"
)

// ownedFamilies is the part of the table that has to do with objects that are for whoever made them. Access to any of
// them is guarded by gate.
var ownedFamilies = []family{
	// The provider parts the files of everybody into pages before they are filtered, 10,000 to a page unless a limit asks
	// for less, and smaller pages could be empty before the last. So no limit is taken.
	{name: "files.list", class: ClassOwned, access: AccessList, object: core.ObjectFile, query: []string{"after", "order", "purpose"}, routes: []string{
		"GET /v1/files",
	}},
	{name: "files.create", class: ClassOwned, access: AccessMake, object: core.ObjectFile, bodyLimit: maxMediaBody, form: true, routes: []string{
		"POST /v1/files",
	}},
	{name: "files.get", class: ClassOwned, access: AccessUse, object: core.ObjectFile, routes: []string{
		"GET /v1/files/{file_id}",
	}},
	{name: "files.content", class: ClassOwned, access: AccessUse, object: core.ObjectFile, routes: []string{
		"GET /v1/files/{file_id}/content",
	}},
	{name: "files.delete", class: ClassOwned, access: AccessDelete, object: core.ObjectFile, routes: []string{
		"DELETE /v1/files/{file_id}",
	}},

	{name: "responses.get", class: ClassOwned, access: AccessUse, object: core.ObjectResponse, query: includes, routes: []string{
		"GET /v1/responses/{response_id}",
	}},
	{name: "responses.input_items", class: ClassOwned, access: AccessUse, object: core.ObjectResponse, query: pages, routes: []string{
		"GET /v1/responses/{response_id}/input_items",
	}},
	{name: "responses.cancel", class: ClassOwned, access: AccessUse, object: core.ObjectResponse, query: beta, routes: []string{
		"POST /v1/responses/{response_id}/cancel",
	}},
	{name: "responses.delete", class: ClassOwned, access: AccessDelete, object: core.ObjectResponse, query: beta, routes: []string{
		"DELETE /v1/responses/{response_id}",
	}},

	{name: "conversations.create", class: ClassOwned, access: AccessMake, object: core.ObjectConversation, bodyLimit: maxMediaBody, routes: []string{
		"POST /v1/conversations",
	}},
	{name: "conversations.get", class: ClassOwned, access: AccessUse, object: core.ObjectConversation, routes: []string{
		"GET /v1/conversations/{conversation_id}",
	}},
	{name: "conversations.update", class: ClassOwned, access: AccessUse, object: core.ObjectConversation, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/conversations/{conversation_id}",
	}},
	{name: "conversations.delete", class: ClassOwned, access: AccessDelete, object: core.ObjectConversation, routes: []string{
		"DELETE /v1/conversations/{conversation_id}",
	}},
	{name: "conversations.items", class: ClassOwned, access: AccessUse, object: core.ObjectConversation, query: pages, routes: []string{
		"GET /v1/conversations/{conversation_id}/items",
		"DELETE GET /v1/conversations/{conversation_id}/items/{item_id}",
	}},
	{name: "conversations.items.create", class: ClassOwned, access: AccessUse, object: core.ObjectConversation, bodyLimit: maxMediaBody, query: includes, routes: []string{
		"POST /v1/conversations/{conversation_id}/items",
	}},
}

// ownedQuery checks the query of an owned endpoint, and gives the object that a page comes after. Only names of the row's
// are taken, and each but the arrays once, so that no reader finds in it what another does not.
func ownedQuery(raw string, allowed []string) (after string, e *core.Error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", queryError("The query cannot be read.", "")
	}
	for name, v := range values {
		switch {
		case len(allowed) == 0:
			return "", queryError("This endpoint takes no query.", "")
		case !slices.Contains(allowed, name):
			return "", queryError("Of the query, this endpoint takes "+strings.Join(allowed, ", ")+" alone.", "")
		case len(v) > 1 && !strings.HasPrefix(name, "include"):
			return "", queryError("The query gives "+name+" more than once.", name)
		}
	}
	for _, cursor := range []string{"after", "before"} {
		if values.Has(cursor) && !IsID(values.Get(cursor)) {
			return "", queryError("The query's "+cursor+" must be an id.", cursor)
		}
	}
	return values.Get("after"), nil
}

func queryError(what, param string) *core.Error {
	return &core.Error{Reason: core.ReasonUnsupportedParameter, Param: param, Public: what + " Leave out the rest."}
}
