package core

import "time"

// ObjectKind says what an object at the provider is.
type ObjectKind string

// The kinds of objects at the provider that a request can name.
const (
	ObjectResponse     ObjectKind = "response"
	ObjectConversation ObjectKind = "conversation"
	ObjectFile         ObjectKind = "file"
	ObjectVectorStore  ObjectKind = "vector_store"
	// ObjectFileBatch is a batch of files that are put into a vector store.
	ObjectFileBatch ObjectKind = "vector_store_file_batch"
)

// ObjectRef names an object at the provider, as a request does. All callers of one provider account share its objects: an
// id alone does not say that its sender may use it.
type ObjectRef struct {
	Kind ObjectKind `json:"kind"`
	ID   string     `json:"id"`
}

// Owner is whom an object at the provider belongs to: a user, or an app that called in nobody's name. One of the two is set.
type Owner struct {
	User string
	App  string
}

// Owner is whom what p makes belongs to. A person's objects are the person's, through whichever app they were made. What
// an app made in nobody's name is the app's, and not of the people that it calls for at other times.
func (p Principal) Owner() Owner {
	if p.User != "" {
		return Owner{User: p.User}
	}
	return Owner{App: p.App}
}

// OwnedObject is an object at the provider that somebody made through Plumbline.
type OwnedObject struct {
	ObjectRef
	Owner Owner
	// App and Team are those of the call that made it. They tell where it came from, and decide nothing.
	App, Team string
	Endpoint  string // the name of the endpoint that made it
	Created   time.Time
	// Tokens is how many tokens going on from the object puts before a request to Model, at most: those of all turns before,
	// answers included. 0 where that is not known, and for objects that no model reads.
	Tokens int64
	Model  string
}
