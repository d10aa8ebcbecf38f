package sysprompt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// MaxVariable is the longest text that a part which varies can stand for, in bytes, with the white space around it: a name, a date or a place, and hardly a
// request.
const MaxVariable = 64

// MaxFilled is the longest text of all parts that vary together: of one text, and of all texts of a request.
const MaxFilled = 256

// probed is how many bytes of a piece its probe is of.
const probed = 16

// variable is a part that varies. Its name says nothing to a program. What looks like one in a text that means it literally is
// found all the same: it is shorter than MaxVariable.
var variable = regexp.MustCompile(`\{\{[^{}]{0,40}\}\}`)

// Fingerprint makes of a text what is kept of it, under the id that its content gives. The errors are for who registers it and
// quote nothing of it.
func Fingerprint(app, text string) (core.SystemPrompt, error) {
	none := core.SystemPrompt{}
	if !utf8.ValidString(text) {
		return none, errors.New("the text is not UTF-8")
	}
	normal := appendNormal(nil, text, len(text))
	p := core.SystemPrompt{App: app}
	from, total := 0, 0
	for _, gap := range append(variable.FindAllIndex(normal, core.MaxPromptPieces), []int{len(normal), len(normal)}) {
		piece := bytes.TrimSpace(normal[from:gap[0]])
		switch {
		case from == 0 && len(piece) < core.MinPromptStart:
			return none, fmt.Errorf("it begins with %d bytes that do not vary, and needs %d", len(piece), core.MinPromptStart)
		case len(piece) == 0 && gap[0] < len(normal):
			return none, errors.New("between two parts that vary there must be text that does not")
		}
		p.Pieces = append(p.Pieces, core.PromptPiece{Bytes: len(piece), Probe: probe(piece), Sum: sum(app, piece)})
		from = gap[1]
		total += len(piece)
	}
	switch {
	case len(p.Pieces) > core.MaxPromptPieces:
		return none, fmt.Errorf("it has more than %d parts that vary", core.MaxPromptPieces-1)
	case total > core.MaxSystemPrompt:
		return none, fmt.Errorf("it has %d bytes without those of white space, and may have %d", total, core.MaxSystemPrompt)
	}
	p.ID = "sp-" + name(p)
	return p, nil
}

// name is one of the content of a fingerprint.
func name(p core.SystemPrompt) string {
	h := sha256.New()
	h.Write([]byte(p.App))
	for _, piece := range p.Pieces {
		h.Write(append(strconv.AppendInt([]byte{0}, int64(piece.Bytes), 10), piece.Sum[:]...))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// sum is the hash of a piece under an app, so that the same text has another one elsewhere.
func sum(app string, piece []byte) (digest [32]byte) {
	h := sha256.New()
	h.Write(append(append(make([]byte, 0, len(app)+1), app...), 0))
	h.Write(piece)
	h.Sum(digest[:0])
	return digest
}

// probe is a short hash of the first bytes of a piece: FNV-1a, from its authors' specification (RFC 9923).
func probe(piece []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range piece[:min(len(piece), probed)] {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// appendNormal appends text with each run of white space as one space, one before it unless dst is empty, and none at its end.
// It stops as soon as dst is longer than most.
func appendNormal(dst []byte, text string, most int) []byte {
	space := len(dst) > 0
	for i := 0; i < len(text) && len(dst) <= most; {
		from := i
		for i < len(text) && ascii[text[i]] && i-from <= most-len(dst) {
			i++
		}
		if i == from {
			r, size := utf8.DecodeRuneInString(text[i:])
			i += size
			if unicode.IsSpace(r) {
				space = true
				continue
			}
		}
		if space && len(dst) > 0 {
			dst = append(dst, ' ')
		}
		space = false
		dst = append(dst, text[from:i]...)
	}
	return dst
}

// ascii are the bytes of ASCII that are no white space.
var ascii = func() (t [256]bool) {
	for c := range utf8.RuneSelf {
		t[c] = !unicode.IsSpace(rune(c))
	}
	return t
}()
