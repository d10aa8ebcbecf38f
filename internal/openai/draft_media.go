package openai

import (
	"bytes"

	"github.com/plumbline/plumbline/internal/core"
)

// image reads an object {url, detail}.
func (d *draft) image(turn int) *core.Error {
	detail := ""
	e := d.object(func(name []byte) *core.Error {
		switch string(name) {
		case "url":
			return d.imageURL(turn)
		case "detail":
			var e *core.Error
			detail, e = d.choice("auto", "low", "high", "original")
			return e
		}
		return d.unknown(name)
	})
	d.picture(detail)
	return e
}

// picture counts an image.
func (d *draft) picture(detail string) {
	if detail == "low" {
		d.req.size.lowImages++
	} else {
		d.req.size.images++
	}
}

// imageURL reads an image that is in the request itself (RFC 2397), or the address of one.
func (d *draft) imageURL(turn int) *core.Error {
	url, e := d.text()
	if e != nil {
		return e
	}
	rest, inline := bytes.CutPrefix(url, []byte("data:"))
	if !inline {
		return d.remote(url, turn, "image/*")
	}
	subtype, data, ok := bytes.Cut(bytes.TrimPrefix(rest, []byte("image/")), []byte(";base64,"))
	if !bytes.HasPrefix(rest, []byte("image/")) || !ok || !mediaSubtype(subtype) || !isBase64(data) {
		return d.unsupported("must be a data: URL of an image in base64")
	}
	if !d.allow.Images {
		return d.notAllowed("holds an image, which is not allowed", "inline")
	}
	d.media += len(data)
	d.unread(turn, "image/"+string(subtype))
	return nil
}

// inputAudio reads an object {data, format}.
func (d *draft) inputAudio(turn int) *core.Error {
	format := ""
	e := d.object(func(name []byte) *core.Error {
		switch string(name) {
		case "data":
			n, e := d.base64(d.allow.Audio, "audio")
			d.req.size.audioTokens += int64(n)/audioBytesPerToken + 1
			return e
		case "format":
			var e *core.Error
			format, e = d.choice("wav", "mp3")
			return e
		}
		return d.unknown(name)
	})
	if e == nil {
		d.unread(turn, "audio/"+format)
	}
	return e
}

// base64 reads data that stands in the request and gives its length.
func (d *draft) base64(allowed bool, what string) (int, *core.Error) {
	data, e := d.text()
	switch {
	case e != nil:
		return 0, e
	case !isBase64(data):
		return 0, d.unsupported("must be base64")
	case !allowed:
		return 0, d.notAllowed("holds "+what+", which is not allowed", "inline")
	}
	d.media += len(data)
	return len(data), nil
}

// fileMember reads a member of a file in a conversation. How much of a model's context a file takes is not known before:
// it is reckoned with all of it.
func (d *draft) fileMember(name []byte, turn int) *core.Error {
	switch string(name) {
	case "file_id":
		return d.nullOr(func() *core.Error { return d.fileID(turn) })
	case "filename":
		return d.spoken(core.KindName, turn)
	case "file_data":
		return d.nullOr(func() *core.Error { return d.fileData(turn) })
	case "file_url":
		return d.nullOr(func() *core.Error {
			url, e := d.text()
			if e != nil {
				return e
			}
			d.req.size.whole = true
			return d.remote(url, turn, "application/octet-stream")
		})
	}
	return d.unknown(name)
}

// fileID reads the id of a file that was left with the provider. What is in it cannot be read.
func (d *draft) fileID(turn int) *core.Error {
	if e := d.reference(core.ObjectFile); e != nil {
		return e
	}
	if !d.allow.FileIDs {
		return d.notAllowed("names a file at the provider of which nobody has judged what it holds, which is not allowed", "file_ids")
	}
	d.req.size.whole = true
	d.unread(turn, anyMedia)
	return nil
}

// fileData reads a file in base64, as it is or as a data: URL.
func (d *draft) fileData(turn int) *core.Error {
	data, e := d.text()
	if e != nil {
		return e
	}
	media := "application/octet-stream"
	if rest, ok := bytes.CutPrefix(data, []byte("data:")); ok {
		kind, inner, ok := bytes.Cut(rest, []byte(";base64,"))
		top, sub, slash := bytes.Cut(kind, []byte("/"))
		if !ok || !slash || !mediaSubtype(top) || !mediaSubtype(sub) {
			return d.unsupported("must be base64, or a data: URL in base64")
		}
		media, data = string(kind), inner
	}
	switch {
	case !isBase64(data):
		return d.unsupported("must be base64, or a data: URL in base64")
	case !d.allow.Files:
		return d.notAllowed("holds a file, which is not allowed", "inline")
	}
	d.media += len(data)
	d.req.size.whole = true
	d.unread(turn, media)
	return nil
}

// unread notes in the prompt what cannot be read. Its role is filled in at the message's end.
func (d *draft) unread(turn int, media string) {
	d.req.Opaque = true
	d.req.Prompt.Parts = append(d.req.Prompt.Parts, core.Part{Kind: core.KindOpaque, Turn: turn, Text: media})
}

// mediaSubtype reports whether b is the second half of a media type, without parameters.
func mediaSubtype(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxKey
}

// isBase64 reports whether b has the letters of base64 only: anything else could be text.
func isBase64(b []byte) bool {
	b = bytes.TrimRight(b, "=")
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
