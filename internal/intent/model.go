package intent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Model is the classifier's parameters.
type Model struct {
	Version string
	Labels  []string
	// Floor is the calibrated probability below which the label is uncertain.
	Floor float32
	// Temperature divides the classes' sums before they become probabilities.
	Temperature float32
	// Scale is what one unit of Weights is worth.
	Scale float32
	Bias  []float32 // one a class
	// Weights holds one row a hashed feature, one column a class.
	Weights []int8
}

// magic names the format of an encoded model.
const magic = "plumbline intent 1\n"

// Encode gives m in the form that [ParseModel] reads: the magic line, the version line, the line of labels, then floor,
// temperature, scale and biases as little-endian float32, then the weights, a byte each.
func (m Model) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(magic + m.Version + "\n" + strings.Join(m.Labels, " ") + "\n")
	for _, part := range []any{m.Floor, m.Temperature, m.Scale, m.Bias, m.Weights} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a bytes.Buffer takes all
	}
	return b.Bytes()
}

// ParseModel reads what [Model.Encode] wrote.
func ParseModel(data []byte) (Model, error) {
	var m Model
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return m, errors.New("intent: not a model")
	}
	version, rest, _ := bytes.Cut(rest, []byte("\n"))
	labels, rest, _ := bytes.Cut(rest, []byte("\n"))
	m.Version, m.Labels = string(version), strings.Fields(string(labels))
	if len(m.Labels) > maxClasses {
		return m, errors.New("intent: more classes than a model can have")
	}
	m.Bias = make([]float32, len(m.Labels))
	m.Weights = make([]int8, len(m.Labels)*Rows)
	r := bytes.NewReader(rest)
	for _, part := range []any{&m.Floor, &m.Temperature, &m.Scale, m.Bias, m.Weights} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return m, fmt.Errorf("intent: model: %w", err)
		}
	}
	if r.Len() > 0 {
		return m, errors.New("intent: model: more bytes than it says")
	}
	return m, nil
}
