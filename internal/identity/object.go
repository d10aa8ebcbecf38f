package identity

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"
)

// readObject reads one JSON object, and nothing after it, and hands each member to visit. It gives visit's first error as
// it is, errJSON when a name is there twice (at any depth) or the text is not valid UTF-8 or not JSON, and errOtherCase
// when a name differs from one of known by case alone: a reader that ignores case would take it for the known one.
func readObject(data []byte, known []string, visit func(name string, value jsontext.Value) error) error {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return errJSON
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return errJSON
		}
		name := token.String() // before the next read, which reuses the token's memory
		value, err := d.ReadValue()
		if err != nil {
			return errJSON
		}
		if isOtherCase(name, known) {
			return errOtherCase
		}
		if err := visit(name, value); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil { // the closing brace
		return errJSON
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	return nil
}

func isOtherCase(name string, known []string) bool {
	return !slices.Contains(known, name) &&
		slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
}

// text gives the value of a JSON string.
func text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// texts gives the values of a list of JSON strings.
func texts(v jsontext.Value) ([]string, bool) {
	var list []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &list) != nil {
		return nil, false
	}
	all := make([]string, len(list))
	for i, item := range list {
		var ok bool
		if all[i], ok = text(item); !ok {
			return nil, false
		}
	}
	return all, true
}

// maxIdentifier is the greatest length of a subject, an app's id and a token's id, in bytes (OpenID Connect Core §2).
const maxIdentifier = 255

// isIdentifier reports whether s can name somebody: 1 to 255 bytes, printable, and in the one normal form (NFC), so that
// two names that look alike are not two people by encoding alone.
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifier || !norm.NFC.IsNormalString(s) {
		return false
	}
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
