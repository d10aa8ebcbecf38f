package openai

import (
	"strconv"

	"github.com/plumbline/plumbline/internal/core"
)

// maxPictures is how many pictures can be given to be changed.
const maxPictures = 16

// imageEditFields are the form of pictures that are to be changed. What would make one cost more than the price table
// knows is not among them: moving pictures, planning, the highest qualities.
var imageEditFields = map[string]fieldRule{
	"image":              {read: readPicture, file: true, besides: "image[]"},
	"image[]":            {read: readPicture, file: true, most: maxPictures, besides: "image"},
	"mask":               {read: readPicture, file: true},
	"markup":             {read: readPicture, file: true},
	"model":              {read: readFormModel},
	"prompt":             {read: spokenField(core.KindText)},
	"user":               {read: readOutside},
	"safety_identifier":  {read: readOutside},
	"n":                  {read: readFormChoices},
	"size":               {read: readFormSize},
	"quality":            {read: readFormQuality},
	"background":         {read: readWord("auto", "transparent", "opaque")},
	"input_fidelity":     {read: readWord("low", "high")},
	"output_format":      {read: readWord("png", "jpeg", "webp")},
	"output_compression": {read: readCount(0, 100, nil)},
	"response_format":    {read: readWord("url", "b64_json")},
	"partial_images":     {read: readCount(0, maxPartial, func(r *formReader, n int64) { r.req.asked.partial = n })},
	"stream":             {read: readFormStream},
}

// readPicture takes a picture into the prompt as what cannot be read.
func readPicture(r *formReader, p formField) *core.Error {
	switch p.mediaOr(anyMedia) {
	case anyMedia, "image/png", "image/jpeg", "image/webp":
	default:
		return p.unsupported("must be a PNG, JPEG or WebP picture")
	}
	r.picture("high")
	return r.file(p, r.allow.Images)
}

// readFormChoices reads how many pictures are asked for.
func readFormChoices(r *formReader, p formField) *core.Error {
	if e := readCount(1, maxChoices, func(r *formReader, n int64) { r.req.Choices = n })(r, p); e != nil {
		return e
	}
	if r.req.Choices > r.allow.MaxChoices {
		return r.forbidden(p.unsupported("must be at most "+strconv.FormatInt(r.allow.MaxChoices, 10)), "max_choices")
	}
	return nil
}

func readFormSize(r *formReader, p formField) *core.Error {
	if string(p.value) != "auto" && !isSize(p.value) {
		return p.unsupported("must be auto, or a width and a height such as 1024x1024")
	}
	r.req.asked.picture.size = string(p.value)
	return nil
}

func readFormQuality(r *formReader, p formField) *core.Error {
	r.req.asked.picture.quality = string(p.value)
	return readWord("auto", "low", "medium", "high", "standard")(r, p)
}
