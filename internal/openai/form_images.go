package openai

import "github.com/plumbline/plumbline/internal/core"

// ReadImageEdit reads the form of POST /v1/images/edits, as strictly as the other forms. What would make a picture cost
// more than the price table knows is refused: moving pictures, planning, the highest qualities and other sizes.
func ReadImageEdit(contentType string, body []byte) (*Request, *core.Error) {
	req := &Request{Endpoint: "images.edits", Choices: 1}
	r, e := readForm(req, contentType, body, imageEditFields)
	if e != nil {
		return nil, e
	}
	if e := r.need("model", "prompt", "image"); e != nil {
		return nil, e
	}
	return req, nil
}

// maxPictures is how many pictures can be given, maxPicturesMade how many asked for.
const (
	maxPictures     = 16
	maxPicturesMade = 10
)

var imageEditFields = map[string]fieldRule{
	"image":              {read: readPicture, file: true, besides: "image[]"},
	"image[]":            {read: readPicture, file: true, most: maxPictures, besides: "image"},
	"mask":               {read: readPicture, file: true},
	"markup":             {read: readPicture, file: true},
	"model":              {read: readFormModel},
	"prompt":             {read: spokenField(core.KindText)},
	"user":               {read: readOutside},
	"safety_identifier":  {read: readOutside},
	"n":                  {read: readCount(1, maxPicturesMade, func(r *formReader, n int64) { r.req.Choices = n })},
	"size":               {read: readWord("auto", "256x256", "512x512", "1024x1024", "1536x1024", "1024x1536")},
	"quality":            {read: readWord("auto", "low", "medium", "high", "standard")},
	"background":         {read: readWord("auto", "transparent", "opaque")},
	"input_fidelity":     {read: readWord("low", "high")},
	"output_format":      {read: readWord("png", "jpeg", "webp")},
	"output_compression": {read: readCount(0, 100, nil)},
	"response_format":    {read: readWord("url", "b64_json")},
	"partial_images":     {read: readCount(0, 3, nil)},
	"stream":             {read: readFormStream},
}

// readPicture takes a picture into the prompt as what cannot be read.
func readPicture(r *formReader, p field) *core.Error {
	switch p.mediaOr(anyMedia) {
	case anyMedia, "image/png", "image/jpeg", "image/webp":
	default:
		return p.unsupported("must be a PNG, JPEG or WebP picture")
	}
	r.file(p)
	r.req.size.images++
	return nil
}
