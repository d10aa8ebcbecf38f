package core

import (
	"fmt"
	"strconv"
)

// MicroUSD is money in millionths of a US dollar.
type MicroUSD int64

// String gives dollars, e.g. "$0.001250".
func (m MicroUSD) String() string {
	sign, v := "", uint64(m)
	if m < 0 {
		sign, v = "-", -v
	}
	return sign + "$" + strconv.FormatUint(v/1_000_000, 10) + fmt.Sprintf(".%06d", v%1_000_000)
}

// Usage is what one exchange used, in tokens as the provider counts them, and in what else it is paid by.
type Usage struct {
	InputTokens       int64 `json:"input_tokens"`
	CachedInputTokens int64 `json:"cached_input_tokens,omitempty"` // part of InputTokens
	OutputTokens      int64 `json:"output_tokens"`
	ReasoningTokens   int64 `json:"reasoning_tokens,omitempty"` // part of OutputTokens
	AudioInputTokens  int64 `json:"audio_input_tokens,omitempty"`
	AudioOutputTokens int64 `json:"audio_output_tokens,omitempty"`
	ImageInputTokens  int64 `json:"image_input_tokens,omitempty"`
	ImageOutputTokens int64 `json:"image_output_tokens,omitempty"`
	// Images is how many pictures were made, Characters how many characters were spoken, AudioMillis how long the audio
	// was that was heard, in milliseconds.
	Images      int64 `json:"images,omitempty"`
	Characters  int64 `json:"characters,omitempty"`
	AudioMillis int64 `json:"audio_ms,omitempty"`
	// Estimated is true when the provider did not report and the figures were counted by Plumbline.
	Estimated bool `json:"estimated,omitempty"`
}

// TotalTokens is input plus output.
func (u Usage) TotalTokens() int64 { return u.InputTokens + u.OutputTokens }

// IsZero reports whether nothing was used.
func (u Usage) IsZero() bool {
	return u.InputTokens == 0 && u.OutputTokens == 0 && u.Images == 0 && u.Characters == 0 && u.AudioMillis == 0
}
