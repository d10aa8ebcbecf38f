package openai

import "github.com/plumbline/plumbline/internal/core"

// roleOf maps the roles of the API to those of the prompt.
func roleOf(s []byte) (core.Role, bool) {
	switch string(s) {
	case "system":
		return core.RoleSystem, true
	case "developer":
		return core.RoleDeveloper, true
	case "user":
		return core.RoleUser, true
	case "assistant":
		return core.RoleAssistant, true
	case "tool", "function":
		return core.RoleTool, true
	}
	return "", false
}

// spoken takes a string, or null, into the prompt as part of a message.
func (d *draft) spoken(kind core.Kind, turn int) *core.Error {
	s, e := d.optional()
	if e == nil {
		d.say(kind, turn, s)
	}
	return e
}

// say adds to a message. Its role is filled in at the message's end.
func (d *draft) say(kind core.Kind, turn int, s []byte) {
	d.req.size.textBytes += int64(len(s))
	d.add("", kind, turn, s)
}

// outside takes a string, or null, into the prompt as something that belongs to no message.
func (d *draft) outside(kind core.Kind) *core.Error {
	s, e := d.optional()
	if e == nil {
		d.add(core.RoleMeta, kind, -1, s)
	}
	return e
}

func (d *draft) add(role core.Role, kind core.Kind, turn int, text []byte) {
	if len(text) == 0 {
		return
	}
	d.req.Prompt.Parts = append(d.req.Prompt.Parts, core.Part{Role: role, Kind: kind, Turn: turn, Text: string(text)})
}

// prompted takes a string into the prompt as text of a role.
func (d *draft) prompted(role core.Role, turn int) *core.Error {
	s, e := d.text()
	d.req.size.textBytes += int64(len(s))
	if e == nil {
		d.add(role, core.KindText, turn, s)
	}
	return e
}

// speaks gives the parts from first on a role: it may come after what it said.
func (d *draft) speaks(role core.Role, first int) {
	for i := range d.req.Prompt.Parts[first:] {
		d.req.Prompt.Parts[first+i].Role = role
	}
}

// schema takes a JSON Schema into the prompt as one part: its strings, names included, one a line.
func (d *draft) schema() *core.Error {
	text := make([]byte, 0, 256)
	e := d.strings(func(s []byte) {
		if len(text) > 0 {
			text = append(text, '\n')
		}
		text = append(text, s...)
	})
	if e == nil && len(text) > 0 {
		d.add(core.RoleMeta, core.KindSchema, -1, text)
	}
	return e
}

// defined counts the whole length of what read reads as input: names, braces and all.
func (d *draft) defined(read func() *core.Error) *core.Error {
	from := d.offset()
	e := read()
	d.req.size.defBytes += int64(d.offset() - from)
	return e
}
