package openai

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// noModels stands for a list that could not be read: what was not filtered does not pass.
const noModels = `{"object":"list","data":[]}`

// writeModels keeps the answer until it is whole, and then gives it without the models that the filter does not allow.
// It does not wait for the end of the stream, which may come without a last piece.
func (a *Answer) writeModels(chunk []byte, end bool) ([]byte, bool) {
	switch {
	case a.whole || a.lost:
		return nil, true // nothing but white space can follow
	case len(a.kept)+len(chunk) > maxAnswer:
		a.lost, a.kept = true, nil
		return []byte(noModels), true
	}
	a.kept = append(a.kept, chunk...)
	whole := end || bytes.HasSuffix(bytes.TrimSpace(chunk), []byte("}")) && jsontext.Value(a.kept).IsValid()
	if !whole {
		return nil, true
	}
	a.whole = true
	out := filterModels(a.kept, a.o.FilterModels)
	a.kept = nil
	return out, true
}

// filterModels gives a list of models without those that are not allowed. One model by itself, if it is not allowed,
// becomes the empty list.
func filterModels(body []byte, allowed func(string) bool) []byte {
	var list struct {
		Object string           `json:"object"`
		ID     string           `json:"id"`
		Data   []jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return []byte(noModels)
	}
	if list.Object == "model" && allowed(list.ID) {
		return body
	}
	kept := make([]jsontext.Value, 0, len(list.Data))
	for _, element := range list.Data {
		var model struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(element, &model); err == nil && model.ID != "" && allowed(model.ID) {
			kept = append(kept, element)
		}
	}
	out, err := json.Marshal(struct {
		Object string           `json:"object"`
		Data   []jsontext.Value `json:"data"`
	}{"list", kept})
	if err != nil {
		return []byte(noModels)
	}
	return out
}
