package openai

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// fieldRule says how a field of a form is read.
type fieldRule struct {
	read func(*formReader, formField) *core.Error
	// most is how often the field may come, 0 for once.
	most int
	// file says that the field is a file, and not a text.
	file bool
	// besides is the other spelling of the field, of which only one may be used.
	besides string
}

// formReader is the reading of one form into a draft.
type formReader struct {
	*draft
	seen map[string]int
}

// readForm reads the fields of a form by their rules. A field without one is refused, as is one that comes too often, and
// a form without those that are needed.
func (d *draft) readForm(contentType string, body []byte, rules map[string]fieldRule, needed ...string) *core.Error {
	f, e := newForm(contentType, body)
	if e != nil {
		return e
	}
	r := &formReader{draft: d, seen: make(map[string]int, len(rules))}
	for {
		p, more, e := f.next()
		if e != nil {
			return e
		}
		if !more {
			return r.need(needed)
		}
		rule, known := rules[p.name]
		if !known {
			return unknownField(p.name, rules)
		}
		if e := r.admit(p, rule); e != nil {
			return e
		}
		if e := rule.read(r, p); e != nil {
			return e
		}
	}
}

// admit checks what holds for every field.
func (r *formReader) admit(p formField, rule fieldRule) *core.Error {
	r.seen[p.name]++
	switch {
	case r.seen[p.name] > max(rule.most, 1):
		return p.invalid("is given more often than it can be")
	case rule.besides != "" && r.seen[rule.besides] > 0:
		return p.invalid("is given besides " + rule.besides + "; use one of them")
	case rule.file && !p.file:
		return p.invalid("must be a file, which has a file name")
	case rule.file:
		return nil
	case p.file:
		return p.invalid("must be a text, which has no file name")
	case p.media != "" && p.media != "text/plain":
		return p.invalid("must be a text of the type text/plain")
	case len(p.value) > maxFieldText:
		return p.invalid("must not be longer than " + strconv.Itoa(maxFieldText) + " bytes")
	case !utf8.Valid(p.value):
		return p.invalid("must be UTF-8")
	}
	return nil
}

// unknownField is the error of a field that is not known, without its name if that could be a text.
func unknownField(name string, rules map[string]fieldRule) *core.Error {
	param := "?"
	if base := strings.TrimSuffix(name, "[]"); plainSegment(base) && len(base) <= maxKey {
		param = name
	}
	for known := range rules {
		if strings.EqualFold(known, name) {
			return &core.Error{
				Reason: core.ReasonInvalidBody, Param: param, Public: param + " is spelled in another case than " + known + ".",
			}
		}
	}
	return &core.Error{
		Reason: core.ReasonUnsupportedParameter, Param: param, Public: param + " is not a parameter that is known here.",
	}
}

// invalid is the error of a field whose value cannot be read.
func (p formField) invalid(what string) *core.Error {
	return &core.Error{
		Reason: core.ReasonInvalidBody, Param: p.name,
		Public: p.name + " " + what + ", at byte " + strconv.Itoa(p.at) + ".",
	}
}

// unsupported is the error of a field that cannot be let through.
func (p formField) unsupported(what string) *core.Error {
	return &core.Error{Reason: core.ReasonUnsupportedParameter, Param: p.name, Public: p.name + " " + what + "."}
}

// need refuses a form that lacks one of the fields; where a field has two spellings, either will do.
func (r *formReader) need(names []string) *core.Error {
	for _, name := range names {
		if r.seen[name] == 0 && r.seen[name+"[]"] == 0 {
			return missing(name)
		}
	}
	return nil
}

// The readers that fields share.

// readFormModel reads the name of a model. White space around it, which some readers trim, would make it another one.
func readFormModel(r *formReader, p formField) *core.Error {
	foreign := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(p.value) == 0 || len(p.value) > maxModelName || bytes.ContainsFunc(p.value, foreign) {
		return p.invalid("must be the name of a model")
	}
	r.req.Model = string(p.value)
	return nil
}

func readFormStream(r *formReader, p formField) *core.Error {
	if e := readWord("true", "false")(r, p); e != nil {
		return e
	}
	r.req.Stream = string(p.value) == "true"
	return nil
}

// spokenField takes a text that the model reads into the prompt, as the user's.
func spokenField(kind core.Kind) func(*formReader, formField) *core.Error {
	return func(r *formReader, p formField) *core.Error {
		r.req.size.textBytes += int64(len(p.value))
		r.add(core.RoleUser, kind, 0, p.value)
		return nil
	}
}

// readOutside takes a text into the prompt that the model does not read.
func readOutside(r *formReader, p formField) *core.Error {
	r.add(core.RoleMeta, core.KindMeta, -1, p.value)
	return nil
}

// file takes a file into the prompt, if it is allowed: its name, and of what it holds the media type.
func (r *formReader) file(p formField, allowed bool) *core.Error {
	if !allowed {
		return r.forbidden(p.unsupported("holds a file of a kind that is not allowed"), "inline")
	}
	r.media += len(p.value)
	r.add(core.RoleMeta, core.KindMeta, -1, p.filename)
	r.opaque(p.mediaOr(anyMedia))
	return nil
}

// opaque notes in the prompt what cannot be read.
func (r *formReader) opaque(media string) {
	r.req.Opaque = true
	r.add(core.RoleUser, core.KindOpaque, 0, []byte(media))
}

// anyMedia is the type of a file that says none.
const anyMedia = "application/octet-stream"

func (p formField) mediaOr(media string) string {
	if p.media == "" {
		return media
	}
	return p.media
}

// readWord reads one of some words.
func readWord(allowed ...string) func(*formReader, formField) *core.Error {
	return func(_ *formReader, p formField) *core.Error {
		for _, a := range allowed {
			if string(p.value) == a {
				return nil
			}
		}
		return p.unsupported("must be one of " + strings.Join(allowed, ", "))
	}
}

// readCount reads a whole number in [least, most].
func readCount(least, most int64, found func(r *formReader, n int64)) func(*formReader, formField) *core.Error {
	return func(r *formReader, p formField) *core.Error {
		n, ok := figure(p.value)
		if !ok || n < least || n > most {
			return p.invalid("must be a whole number between " + strconv.FormatInt(least, 10) + " and " + strconv.FormatInt(most, 10))
		}
		if found != nil {
			found(r, n)
		}
		return nil
	}
}

// readNumber reads a number that is passed on as it stands.
func readNumber(_ *formReader, p formField) *core.Error {
	whole, part, point := bytes.Cut(p.value, []byte("."))
	if len(p.value) > maxKey || !digits(whole) || point && !digits(part) {
		return p.invalid("must be a number, in digits with at most one point")
	}
	return nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
