package yamldoc

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Enum is a string type with a closed set of values.
type Enum interface{ Values() []string }

// Named is a type that says in a few words how its values are written, like "a size, like 4MiB".
type Named interface{ TypeName() string }

// SetText sets what into points to from its text, as it stands in a document or in an environment variable: text, an
// Enum, a truth value, a decimal number, a duration, anything that implements encoding.TextUnmarshaler, or a list of
// those with commas between. Errors do not quote the text, except that of an Enum.
func SetText(into any, text string) error {
	v := reflect.ValueOf(into).Elem()
	wrong := errors.New("must be " + TypeName(v.Type()))
	if u, ok := into.(encoding.TextUnmarshaler); ok {
		if u.UnmarshalText([]byte(text)) != nil { // its words may quote the text
			return wrong
		}
		return nil
	}
	if e, ok := v.Interface().(Enum); ok && !slices.Contains(e.Values(), text) {
		return errors.New(quoteKey(text) + " is not one of " + strings.Join(e.Values(), ", ") +
			DidYouMean(text, e.Values()))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return wrong
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if v.Type() == durationType {
			var of time.Duration
			of, err = time.ParseDuration(text)
			n = int64(of)
		}
		if err != nil {
			return wrong
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return wrong
		}
		v.SetFloat(x)
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), 0, 4)
		if text != "" {
			for item := range strings.SplitSeq(text, ",") {
				e := reflect.New(v.Type().Elem())
				if err := SetText(e.Interface(), strings.TrimSpace(item)); err != nil {
					return err
				}
				list = reflect.Append(list, e.Elem())
			}
		}
		v.Set(list)
	default:
		return errors.New("cannot be set from text")
	}
	return nil
}

// Text writes a value as documents do, a list with commas between its items. It is empty for maps and structs, and says
// how many there are for a list of them.
func Text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		s := x.String() // 1h0m0s
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() > 0 && !isScalar(reflect.New(v.Type().Elem()).Elem()) {
			return strconv.Itoa(v.Len()) + " in the file"
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i] = Text(v.Index(i))
		}
		return strings.Join(items, ",")
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return ""
	default:
		return fmt.Sprint(v.Interface())
	}
}

// TypeName says in words what a value of type t is.
func TypeName(t reflect.Type) string {
	zero := reflect.Zero(t).Interface()
	if n, ok := zero.(Named); ok {
		return n.TypeName()
	}
	if e, ok := zero.(Enum); ok {
		return strings.Join(e.Values(), ", ")
	}
	switch t {
	case durationType:
		return "a duration with its unit, like 30s"
	case timeType:
		return "a time, like 2026-01-02T15:04:05Z"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return TypeName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Map:
		return "a map of names to " + strings.TrimPrefix(TypeName(t.Elem()), "a ") + "s"
	default:
		return "text"
	}
}

// DidYouMean gives "; did you mean …?" for the known word that is closest to word, or nothing when none is close.
func DidYouMean(word string, known []string) string {
	if best := Closest(word, known); best != "" {
		return "; did you mean " + strconv.Quote(best) + "?"
	}
	return ""
}

// Closest gives the known word that word is most likely a slip of, empty when none is close: a third of the letters may
// differ, one at least. What is longer than longest is no slip of anything.
func Closest(word string, known []string) string {
	if tooLong(word) {
		return ""
	}
	best, least := "", max(1, len([]rune(word))/3)+1
	for _, k := range known {
		if tooLong(k) {
			continue
		}
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

// longest is how many bytes a word has that can be a slip.
const longest = 64

func tooLong(word string) bool { return len(word) > longest }

// distance is the number of letters to insert, delete, replace or swap with their neighbour to get from a to b (optimal
// string alignment), neither of which is too long.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before, above, row [longest + 1]int
	for j := range row[:len(t)+1] {
		above[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1) //nolint:gosec // j > 1
			}
		}
		before, above = above, row
	}
	return above[len(t)]
}

// Field is one setting of a struct: a value that is set as a whole.
type Field struct {
	Path  string
	Doc   string // from the doc tag
	Value reflect.Value
}

// Fields lists the settings of the struct that ptr points to, in the order of their declaration. Structs are entered;
// lists and maps are settings.
func Fields(ptr any) []Field { return fields(nil, "", reflect.ValueOf(ptr).Elem()) }

func fields(list []Field, path string, v reflect.Value) []Field {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := keyOf(f)
		if key == "" {
			continue
		}
		if at := Key(path, key); v.Field(i).Kind() == reflect.Struct && !isScalar(v.Field(i)) {
			list = fields(list, at, v.Field(i))
		} else {
			list = append(list, Field{Path: at, Doc: f.Tag.Get("doc"), Value: v.Field(i)})
		}
	}
	return list
}
