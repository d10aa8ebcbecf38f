package condition

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// Variable is a value that conditions read, taken from an F.
type Variable[F any] struct {
	name, doc, kind string
	of              *cel.Type
	most            uint64 // characters, or items
	value           func(*F) ref.Val
}

// Name is how conditions call it.
func (v Variable[F]) Name() string { return v.name }

// Doc says what it is, and Type in a word or two how its values are written.
func (v Variable[F]) Doc() string { return v.doc }

// Type says how its values are written.
func (v Variable[F]) Type() string { return v.kind }

// Text declares a text of usually at most so many characters. What is not UTF-8 in it is replaced as JSON does, so that a
// stored value is the one that was seen.
func Text[F any](name string, most int, doc string, of func(*F) string) Variable[F] {
	return Variable[F]{name, doc, "text", cel.StringType, uint64(most), func(f *F) ref.Val { return types.String(valid(of(f))) }}
}

// Number declares a number.
func Number[F any](name, doc string, of func(*F) float64) Variable[F] {
	return Variable[F]{name, doc, "number", cel.DoubleType, 1, func(f *F) ref.Val { return types.Double(of(f)) }}
}

// Whole declares a whole number.
func Whole[F any](name, doc string, of func(*F) int) Variable[F] {
	return Variable[F]{name, doc, "whole number", cel.IntType, 1, func(f *F) ref.Val { return types.Int(of(f)) }}
}

// Flag declares a truth value.
func Flag[F any](name, doc string, of func(*F) bool) Variable[F] {
	return Variable[F]{name, doc, "true or false", cel.BoolType, 1, func(f *F) ref.Val { return types.Bool(of(f)) }}
}

// Texts declares a list of usually at most so many texts.
func Texts[F any](name string, most int, doc string, of func(*F) []string) Variable[F] {
	return Variable[F]{name, doc, "list of texts", cel.ListType(cel.StringType), uint64(most), func(f *F) ref.Val {
		list := of(f)
		if len(list) == 0 {
			return noTexts
		}
		if i := slices.IndexFunc(list, func(s string) bool { return !utf8.ValidString(s) }); i >= 0 {
			list = slices.Clone(list)
			for i := range list {
				list[i] = valid(list[i])
			}
		}
		return types.NewStringList(types.DefaultTypeAdapter, list)
	}}
}

var noTexts ref.Val = types.NewStringList(types.DefaultTypeAdapter, nil)

func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s)) // each byte that is none becomes U+FFFD
}

// Values are those of one F, each made when it is read first. They are to be given back with Done, and not used after.
type Values[F any] struct {
	env    *Env[F]
	of     *F
	cached []ref.Val
	large  []bool // larger than declared
}

// Of gives the values of f, which must not change until they are given back.
func (e *Env[F]) Of(f *F) *Values[F] {
	v, ok := e.pool.Get().(*Values[F])
	if !ok {
		v = &Values[F]{env: e, cached: make([]ref.Val, len(e.variables)), large: make([]bool, len(e.variables))}
	}
	v.of = f
	return v
}

// Done gives the values back.
func (v *Values[F]) Done() {
	clear(v.cached)
	clear(v.large)
	v.of = nil
	v.env.pool.Put(v)
}

// ResolveName implements CEL's Activation.
func (v *Values[F]) ResolveName(name string) (any, bool) {
	i, ok := v.env.places[name]
	if !ok {
		return nil, false
	}
	return v.at(i), true
}

// at gives the value of a variable.
func (v *Values[F]) at(i int) ref.Val {
	if v.cached[i] == nil {
		from := &v.env.variables[i]
		v.cached[i] = from.value(v.of)
		v.large[i] = larger(v.cached[i], from.most)
	}
	return v.cached[i]
}

// larger reports whether a value is above the size that its variable was declared with.
func larger(value ref.Val, most uint64) bool {
	switch x := value.(type) {
	case types.String:
		return uint64(len(x)) > most
	case traits.Lister:
		list, ok := x.Value().([]string)
		return !ok || uint64(len(list)) > most || slices.ContainsFunc(list, func(s string) bool { return len(s) > itemSize })
	default:
		return false
	}
}

// Parent implements CEL's Activation.
func (v *Values[F]) Parent() cel.Activation { return nil }

// Env is what conditions over an F can read and do. It never changes and is safe for concurrent use.
type Env[F any] struct {
	variables []Variable[F]
	places    map[string]int
	names     []string
	cel       *cel.Env
	pool      sync.Pool
}
