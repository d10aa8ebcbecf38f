package yamldoc

import "github.com/goccy/go-yaml"

// Encode writes a value as a YAML document. Keys are the json tags of the Go type, as for Decode.
func Encode(value any) ([]byte, error) {
	return yaml.MarshalWithOptions(value, yaml.UseJSONMarshaler())
}
