package openai

import (
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// storeFamilies is the part of the table that has to do with vector stores. What their paths name is guarded by gate: the
// store, and the file or the batch in it.
var storeFamilies = []family{
	{name: "vector_stores.list", class: ClassOwned, access: AccessList, object: core.ObjectVectorStore, query: storePages, routes: []string{
		"GET /v1/vector_stores",
	}},
	{name: "vector_stores.create", class: ClassOwned, access: AccessMake, object: core.ObjectVectorStore, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores",
	}},
	{name: "vector_stores.get", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}",
	}},
	{name: "vector_stores.update", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}",
	}},
	{name: "vector_stores.delete", class: ClassOwned, access: AccessDelete, object: core.ObjectVectorStore, routes: []string{
		"DELETE /v1/vector_stores/{vector_store_id}",
	}},
	{name: "vector_stores.search", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}/search",
	}},

	{name: "vector_stores.files.list", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, query: filePages, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}/files",
	}},
	{name: "vector_stores.files.create", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}/files",
	}},
	{name: "vector_stores.files.get", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}/files/{file_id}",
	}},
	{name: "vector_stores.files.update", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}/files/{file_id}",
	}},
	// It takes the file out of the store, and leaves it with its owner.
	{name: "vector_stores.files.delete", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, routes: []string{
		"DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}",
	}},
	{name: "vector_stores.files.content", class: ClassOwned, access: AccessUse, object: core.ObjectVectorStore, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content",
	}},

	{name: "vector_stores.file_batches.create", class: ClassOwned, access: AccessMake, object: core.ObjectFileBatch, bodyLimit: maxOwnedBody, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}/file_batches",
	}},
	{name: "vector_stores.file_batches.get", class: ClassOwned, access: AccessUse, object: core.ObjectFileBatch, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}",
	}},
	{name: "vector_stores.file_batches.cancel", class: ClassOwned, access: AccessUse, object: core.ObjectFileBatch, routes: []string{
		"POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
	}},
	{name: "vector_stores.file_batches.files", class: ClassOwned, access: AccessUse, object: core.ObjectFileBatch, query: filePages, routes: []string{
		"GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
	}},
}

// objectParams are the parameters of paths that name objects which have owners. What else paths name belongs to one of
// those: an item to its conversation.
var objectParams = map[string]core.ObjectKind{
	"{response_id}": core.ObjectResponse, "{conversation_id}": core.ObjectConversation, "{file_id}": core.ObjectFile,
	"{vector_store_id}": core.ObjectVectorStore, "{batch_id}": core.ObjectFileBatch,
}

// Named gives the objects that a path names which Lookup found to be of the endpoint, in their order. None of an endpoint
// that is not owned.
func Named(e Endpoint, path string) []core.ObjectRef {
	if e.Class != ClassOwned {
		return nil
	}
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	var refs []core.ObjectRef
	for i, part := range strings.Split(e.Template, "/") {
		if kind := objectParams[part]; kind != "" && i < len(segments) {
			refs = append(refs, core.ObjectRef{Kind: kind, ID: segments[i]})
		}
	}
	return refs
}
