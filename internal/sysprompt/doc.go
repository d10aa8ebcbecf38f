// Package sysprompt knows an application's own system prompts again, by fingerprints that were registered for it, and so tells
// them from requests that somebody hides in another role.
//
// A text is compared once each run of white space is one space and none stands at its ends; nothing else is forgiven, letters,
// case and invisible characters must be the same. A registered text may have parts that vary, written {{name}}: each stands for
// at most [MaxVariable] bytes, all of a request together for [MaxFilled]. What is kept are lengths and hashes of the fixed pieces between them, under the app's id.
//
// It must not import anything but core. Nothing here panics on hostile text, and its time is linear in it: see [Set.Split].
package sysprompt
