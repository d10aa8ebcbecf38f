package openai

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// noElements stands for a list that could not be read: what was not filtered does not pass.
const noElements = `{"object":"list","data":[]}`

// writeList keeps the answer until it is whole, and then gives it without the elements that the filter does not allow. It
// does not wait for the end of the stream, which may come without a last piece.
func (a *Answer) writeList(chunk []byte, end bool) ([]byte, bool) {
	switch {
	case a.whole || a.lost:
		return nil, true // nothing but white space can follow
	case len(a.kept)+len(chunk) > maxAnswer:
		a.lost, a.kept = true, nil
		return []byte(noElements), true
	}
	a.kept = append(a.kept, chunk...)
	whole := end || bytes.HasSuffix(bytes.TrimSpace(chunk), []byte("}")) && jsontext.Value(a.kept).IsValid()
	if !whole {
		return nil, true
	}
	a.whole = true
	out := filterList(a.kept, a.o.Filter)
	a.kept = nil
	return out, true
}

// list is a list of objects as the provider writes it. What else it may say is left out, since it may be of other elements
// than those that are left.
type list struct {
	Object string           `json:"object"`
	ID     string           `json:"id,omitzero"` // of one element by itself
	Data   []jsontext.Value `json:"data"`
	// The ids of the first and last element, from which pages go on.
	FirstID *string `json:"first_id,omitzero"`
	LastID  *string `json:"last_id,omitzero"`
	HasMore *bool   `json:"has_more,omitzero"`
}

// filterList gives a list without the elements that are not allowed. One element by itself, if it is not allowed, becomes
// the empty list.
func filterList(body []byte, allowed func(id string) bool) []byte {
	var in list
	if err := json.Unmarshal(body, &in); err != nil {
		return []byte(noElements)
	}
	if in.ID != "" && in.Data == nil && allowed(in.ID) {
		return body
	}
	out := list{Object: "list", Data: make([]jsontext.Value, 0, len(in.Data)), HasMore: in.HasMore}
	paged := in.FirstID != nil || in.LastID != nil
	for _, element := range in.Data {
		var one struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(element, &one); err != nil || one.ID == "" || !allowed(one.ID) {
			continue
		}
		out.Data = append(out.Data, element)
		if paged {
			if out.FirstID == nil {
				out.FirstID = &one.ID
			}
			out.LastID = &one.ID
		}
	}
	filtered, err := json.Marshal(out)
	if err != nil {
		return []byte(noElements)
	}
	return filtered
}
