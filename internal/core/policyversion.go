package core

import "time"

// PolicyVersion is a policy document as it came into force. It never changes.
type PolicyVersion struct {
	// Number orders them: each is above all before it, and none is given twice.
	Number int64 `json:"number"`
	// Version is what records call the policy. Where one came into force again, several numbers have it.
	Version string `json:"version"`
	// Text is the document, empty in a list.
	Text string `json:"text,omitempty"`
	// Author put it in force, and Reason says why.
	Author  string    `json:"author"`
	Reason  string    `json:"reason"`
	Created time.Time `json:"created"`
	// Restores is the number of the one that it brings back, 0 for none.
	Restores int64 `json:"restores,omitempty"`
}
