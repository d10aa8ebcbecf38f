package core

// ObjectKind says what an object at the provider is.
type ObjectKind string

// The kinds of objects at the provider that a request can name.
const (
	ObjectResponse     ObjectKind = "response"
	ObjectConversation ObjectKind = "conversation"
	ObjectFile         ObjectKind = "file"
	ObjectVectorStore  ObjectKind = "vector_store"
)

// ObjectRef names an object at the provider, as a request does. All callers of one provider account share its objects: an
// id alone does not say that its sender may use it.
type ObjectRef struct {
	Kind ObjectKind
	ID   string
}
