package core

// Role says in whose name a piece of a prompt speaks. Role labels are the client's own words.
type Role string

// The roles of the OpenAI wire, and RoleMeta for text that belongs to no message (tool descriptions, metadata, …).
const (
	RoleSystem    Role = "system"
	RoleDeveloper Role = "developer"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
	RoleMeta      Role = "meta"
)

// Kind says what a piece of a prompt is.
type Kind string

// The kinds of prompt parts. Everything that can reach the model has one of them.
const (
	KindText   Kind = "text"   // words of a message
	KindName   Kind = "name"   // a participant's or function's name
	KindSchema Kind = "schema" // a tool's or answer format's description and schema
	KindCall   Kind = "call"   // arguments of a tool call in the conversation
	KindMeta   Kind = "meta"   // metadata, stop sequences, user ids and other short strings
	KindOpaque Kind = "opaque" // an image, audio or file that Plumbline cannot read; Text holds its media type only
)

// Part is one string leaf of a request that can carry text to the model.
type Part struct {
	Role Role
	Kind Kind
	// Turn is the index of the message the part belongs to, -1 for parts outside the conversation.
	Turn int
	Text string
}

// Prompt is the view of a request that is judged: every string that can reach the model, in the order of the request.
// It never leaves the process.
type Prompt struct {
	Parts []Part
}
