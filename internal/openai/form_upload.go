package openai

import "github.com/plumbline/plumbline/internal/core"

// Upload is the form of a file that is left with the provider.
type Upload struct {
	// Purpose is what the file is for, by the provider's word, e.g. "batch" or "user_data".
	Purpose string
	// Filename and Media are the file's name and content type as the client gave them.
	Filename, Media string
	// Content is the file, a part of the body. Nobody has judged it.
	Content []byte
}

// ReadUpload reads the form of POST /v1/files, as strictly as Read reads the others.
func ReadUpload(contentType string, body []byte) (*Upload, *core.Error) {
	up := &Upload{}
	rules := map[string]fieldRule{
		"purpose": {read: func(r *formReader, p formField) *core.Error {
			up.Purpose = string(p.value)
			return readWord("assistants", "batch", "fine-tune", "vision", "user_data", "evals")(r, p)
		}},
		"file": {file: true, read: func(_ *formReader, p formField) *core.Error {
			up.Filename, up.Media, up.Content = string(p.filename), p.mediaOr(anyMedia), p.value
			return nil
		}},
		"expires_after[anchor]":  {read: readWord("created_at")},
		"expires_after[seconds]": {read: readCount(1, maxSeconds, nil)},
	}
	d := &draft{req: &Request{}, allow: &Allowance{}}
	if e := d.readForm(contentType, body, rules, "purpose", "file"); e != nil {
		return nil, e
	}
	return up, nil
}
