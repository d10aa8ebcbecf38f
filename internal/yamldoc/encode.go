package yamldoc

import (
	"encoding/base64"

	"github.com/goccy/go-yaml"
)

// Encode writes a value as a YAML document. Keys are the json tags of the Go type, as for Decode, and bytes are base64,
// as in JSON.
func Encode(value any) ([]byte, error) {
	return yaml.MarshalWithOptions(value, yaml.UseJSONMarshaler(), yaml.CustomMarshaler[[]byte](encodeBytes))
}

// encodeBytes writes bytes as one text. The library would write a list with a line for each byte.
func encodeBytes(b []byte) ([]byte, error) {
	return []byte(`"` + base64.StdEncoding.EncodeToString(b) + `"`), nil
}
