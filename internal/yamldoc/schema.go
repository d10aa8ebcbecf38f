package yamldoc

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Schema gives the JSON Schema of the documents that decode into the struct that ptr points to, for editors. Values of
// the struct are the defaults; descriptions come from the doc tags. A document that the schema accepts may still be
// refused by Decode, and by checks of meaning.
func Schema(title string, ptr any) ([]byte, error) {
	r := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		RequiredFromJSONSchemaTags: true, // everything has a default
		Mapper:                     scalarSchema,
		LookupComment: func(t reflect.Type, field string) string {
			if t.Kind() != reflect.Struct {
				return ""
			}
			f, _ := t.FieldByName(field) // the zero field, without tags, when asked for the type itself
			return f.Tag.Get("doc")
		},
	}
	s := r.Reflect(ptr)
	s.Title = title
	addDefaults(s, reflect.ValueOf(ptr).Elem())
	return json.MarshalIndent(s, "", "  ")
}

// scalarSchema describes the types that are written in another way than Go's JSON writes them.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	zero := reflect.Zero(t).Interface()
	if e, ok := zero.(Enum); ok {
		s := &jsonschema.Schema{Type: "string"}
		for _, v := range e.Values() {
			s.Enum = append(s.Enum, v)
		}
		return s
	}
	if t == durationType {
		return &jsonschema.Schema{Type: "string", Pattern: `^[-+]?([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	}
	if t != timeType && reflect.PointerTo(t).Implements(textType) {
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}}
	}
	return nil
}

func addDefaults(s *jsonschema.Schema, v reflect.Value) {
	for i := range v.NumField() {
		key := keyOf(v.Type().Field(i))
		if key == "" {
			continue
		}
		p, ok := s.Properties.Get(key)
		if !ok {
			continue
		}
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct && !isScalar(f):
			addDefaults(p, f)
		case f.Type() == durationType:
			p.Default = Text(f)
		case !f.IsZero():
			p.Default = f.Interface()
		}
	}
}
