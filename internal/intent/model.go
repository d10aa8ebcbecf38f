package intent

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Model is the classifier's parameters. Its two heads are learnt by package fit.
type Model struct {
	Version string
	// Table is the version of the embedding table that the second head was learnt with.
	Table  string
	Labels []string
	Numbers
	// Bias and Rows are the head on n-grams: a row for each hashed feature, a column for each class.
	Bias []float32
	Rows []int8
	// MeaningBias and Meaning are the softmax head: a row of the vector's length for each class.
	MeaningBias []float32
	Meaning     []float32
	// Prototypes are vectors, of length 1, near to which the prompts lie that were learnt from.
	Prototypes []float32
}

// Numbers are the parts of a model of which there is one each.
type Numbers struct {
	// Floor is the calibrated probability below which the label is uncertain.
	Floor float32
	// ScopeFloor is the least score in scope, see [Classifier.Classify], below which it is uncertain too.
	ScopeFloor float32
	// Temperature divides the classes' sums before they become probabilities.
	Temperature float32
	// Mix is what the softmax head's logarithms count beside the other's margins.
	Mix float32
	// Scale is what one unit of Rows is worth.
	Scale float32
	// SumMean and SumSpread are of the greatest sum, NearMean and NearSpread of the cosine to the nearest prototype, both
	// over ordinary prompts.
	SumMean, SumSpread, NearMean, NearSpread float32
}

// The format of a model, little-endian: the magic line, the version line, the line of the table's version and the line of
// labels; the numbers of rows of n-grams, of columns of vectors and of prototypes as uint32; [Numbers], the biases, weights
// and prototypes as float32, the rows a signed byte a class; and the SHA-256 of all before it.
const magic = "plumbline intent 2\n"

// Bounds on a model, so that a foreign file asks for no more memory than a model can need.
const (
	maxClasses    = 16
	maxLine       = 1 << 10
	maxDim        = 512
	maxPrototypes = 1 << 10
)

// sizes is the fixed part after the lines.
type sizes struct{ Rows, Dim, Prototypes uint32 }

// Encode gives m in the form that [ParseModel] reads.
func (m Model) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(magic + m.Version + "\n" + m.Table + "\n" + strings.Join(m.Labels, " ") + "\n")
	n := max(len(m.Labels), 1)
	dim := len(m.Meaning) / n
	s := sizes{uint32(len(m.Rows) / n), uint32(dim), uint32(len(m.Prototypes) / max(dim, 1))}
	for _, part := range []any{s, m.Numbers, m.Bias, m.MeaningBias, m.Meaning, m.Prototypes, m.Rows} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a bytes.Buffer takes all
	}
	sum := sha256.Sum256(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// ParseModel reads what [Model.Encode] wrote. An error says what is wrong with the file; a model that is read is whole.
func ParseModel(data []byte) (Model, error) {
	var m Model
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return m, errors.New("intent: not a model of this format")
	}
	end := len(data) - sha256.Size
	if end < len(magic) || sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return m, errors.New("intent: the model is cut off or changed: its digest is not that of its content")
	}
	rest, err := m.readLines(rest[:len(rest)-sha256.Size])
	if err != nil {
		return m, err
	}
	var s sizes
	used, err := binary.Decode(rest, binary.LittleEndian, &s)
	if err != nil {
		return m, errors.New("intent: the model ends within its header")
	}
	rest = rest[used:]
	if s.Rows != Rows || s.Dim == 0 || s.Dim > maxDim || s.Dim%4 != 0 || s.Prototypes == 0 || s.Prototypes > maxPrototypes {
		return m, fmt.Errorf("intent: a model cannot have %d rows, %d columns and %d prototypes", s.Rows, s.Dim, s.Prototypes)
	}
	n := len(m.Labels)
	m.Bias, m.MeaningBias = make([]float32, n), make([]float32, n)
	m.Meaning, m.Prototypes = make([]float32, n*int(s.Dim)), make([]float32, int(s.Prototypes*s.Dim))
	m.Rows = make([]int8, n*Rows)
	parts := []any{&m.Numbers, m.Bias, m.MeaningBias, m.Meaning, m.Prototypes, m.Rows}
	want := 0
	for _, part := range parts {
		want += binary.Size(part)
	}
	if want != len(rest) {
		return m, fmt.Errorf("intent: the model has %d bytes after its header and says %d", len(rest), want)
	}
	for _, part := range parts {
		used, _ := binary.Decode(rest, binary.LittleEndian, part) // as many bytes as there are
		rest = rest[used:]
	}
	return m, m.check()
}

// readLines reads the lines that a model begins with.
func (m *Model) readLines(data []byte) (rest []byte, err error) {
	var lines [3]string
	for i := range lines {
		line, after, ok := bytes.Cut(data, []byte("\n"))
		if !ok || len(line) == 0 || len(line) > maxLine {
			return nil, errors.New("intent: the model has no version, table or labels")
		}
		lines[i], data = string(line), after
	}
	m.Version, m.Table, m.Labels = lines[0], lines[1], strings.Fields(lines[2])
	if len(m.Labels) < 2 || len(m.Labels) > maxClasses {
		return nil, fmt.Errorf("intent: a model cannot have %d classes", len(m.Labels))
	}
	seen := map[string]bool{}
	for _, l := range m.Labels {
		if seen[l] {
			return nil, fmt.Errorf("intent: the model has the class %q twice", l)
		}
		seen[l] = true
	}
	return data, nil
}

// check reports numbers with which no probability can be reckoned.
func (m *Model) check() error {
	n := m.Numbers
	for _, x := range [...]float32{n.Temperature, n.Scale, n.SumSpread, n.NearSpread} {
		if !(x > 0) || x > maxNumber {
			return errors.New("intent: one of the model's scales is none that it can have")
		}
	}
	parts := [...][]float32{{n.Floor, n.ScopeFloor, n.Mix, n.SumMean, n.NearMean}, m.Bias, m.MeaningBias, m.Meaning, m.Prototypes}
	for _, part := range parts {
		for _, x := range part {
			if !(math.Abs(float64(x)) <= maxNumber) {
				return errors.New("intent: one of the model's weights is none that it can have")
			}
		}
	}
	return nil
}

// maxNumber bounds weights, so that no sum of them is infinite.
const maxNumber = 1e6
