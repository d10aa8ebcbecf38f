package deviation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Dim is the length of a word's vector.
const Dim = 64

// The features of a prompt against a task.
const (
	FeatureAlike    = iota // mean likeness of the prompt's words to their likest words of the task, weighted
	FeatureShared          // weighted share of the prompt's words that are words of the task
	FeatureWhole           // cosine to the task's whole description
	FeaturePhrase          // cosine to its nearest phrase
	FeatureWording         // tf-idf cosine to its nearest phrase
	FeatureGeneric         // cosine to the nearest generic activities, which counts against the task
	FeatureLength          // logarithm of the number of content words
	FeatureExample         // cosine to the nearest example
	FeatureQuoted          // tf-idf cosine to the nearest example
	FeatureExamples        // logarithm of the number of examples
	NumFeatures
)

// Features are the inputs of the logistic model.
type Features [NumFeatures]float64

// Logistic is one logistic model: the log-odds of being on task.
type Logistic struct {
	Bias    float32
	Weights [NumFeatures]float32
}

// Model is the scorer's parameters.
type Model struct {
	Version string
	// Described is for tasks without examples, Exemplified for those with.
	Described, Exemplified Logistic
	// Neutral is the likeness of the average word of a prompt about something else.
	Neutral float32
	// Unknown is the weight of a word that the background does not have.
	Unknown float32
	// Stems are the words of the background by the hash of their stem, IDF their weights (the rarer the higher), and
	// Vectors their unit vectors, Dim bytes each, every row with a scale of its own.
	Stems   []uint32
	IDF     []float32
	Vectors []int8
}

const (
	magic   = "plumbline deviation 1\n"
	maxRows = 1 << 15
)

// Encode gives m in the form that [ParseModel] reads: the magic line, the version line, the number of words, then the
// fields in their order, little-endian.
func (m Model) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(magic + m.Version + "\n")
	for _, part := range []any{
		uint32(len(m.Stems)), m.Described, m.Exemplified, m.Neutral, m.Unknown, m.Stems, m.IDF, m.Vectors,
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a bytes.Buffer takes all
	}
	return b.Bytes()
}

// ParseModel reads what [Model.Encode] wrote.
func ParseModel(data []byte) (Model, error) {
	var m Model
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return m, errors.New("deviation: not a model")
	}
	version, rest, _ := bytes.Cut(rest, []byte("\n"))
	m.Version = string(version)
	r := bytes.NewReader(rest)
	var rows uint32
	if err := binary.Read(r, binary.LittleEndian, &rows); err != nil || rows > maxRows {
		return m, errors.New("deviation: model: its number of words is not one it can have")
	}
	m.Stems, m.IDF, m.Vectors = make([]uint32, rows), make([]float32, rows), make([]int8, rows*Dim)
	for _, part := range []any{&m.Described, &m.Exemplified, &m.Neutral, &m.Unknown, m.Stems, m.IDF, m.Vectors} {
		if err := binary.Read(r, binary.LittleEndian, part); err != nil {
			return m, fmt.Errorf("deviation: model: %w", err)
		}
	}
	if r.Len() > 0 {
		return m, errors.New("deviation: model: more bytes than it says")
	}
	return m, nil
}

// New gives a scorer of m, which must not be changed any more.
func New(m Model) (*Scorer, error) {
	n := len(m.Stems)
	if n > maxRows || len(m.IDF) != n || len(m.Vectors) != n*Dim {
		return nil, errors.New("deviation: the model's parts do not fit together")
	}
	s := &Scorer{m: m, slots: make([]slot, 1<<bits.Len(uint(4*n))), vectors: make([]vector, n)}
	for row, stem := range m.Stems {
		i := s.firstSlot(stem)
		for s.slots[i].row != 0 {
			i = s.nextSlot(i)
		}
		s.slots[i] = slot{stem: stem, row: int32(row + 1)}
		v := &s.vectors[row]
		for i, x := range m.Vectors[row*Dim : (row+1)*Dim] {
			v[i] = float32(x)
		}
		v.normalise()
	}
	for _, activity := range activities {
		p := s.piece(activity)
		s.generic = append(s.generic, p.vector)
	}
	return s, nil
}

// slot is a place in the table of stems, which is at most a quarter full.
type slot struct {
	stem uint32
	row  int32 // row + 1, 0 for none
}

func (s *Scorer) firstSlot(stem uint32) int {
	return int(uint64(stem*0x9E3779B1) * uint64(len(s.slots)) >> 32)
}

func (s *Scorer) nextSlot(i int) int { return (i + 1) & (len(s.slots) - 1) }

// row gives the row of stem, -1 when the background does not have it.
func (s *Scorer) row(stem uint32) int32 {
	for i := s.firstSlot(stem); ; i = s.nextSlot(i) {
		if at := &s.slots[i]; at.row == 0 || at.stem == stem {
			return at.row - 1
		}
	}
}

// idf gives the weight of the word at row.
func (s *Scorer) idf(row int32) float32 {
	if row < 0 {
		return s.m.Unknown
	}
	return s.m.IDF[row]
}

// vector is the place of a word or text among all words by use.
type vector [Dim]float32

func (v *vector) dot(w *vector) float64 {
	var a, b, c, d float32
	for i := 0; i < Dim; i += 4 {
		a += v[i] * w[i]
		b += v[i+1] * w[i+1]
		c += v[i+2] * w[i+2]
		d += v[i+3] * w[i+3]
	}
	return float64(a + b + c + d)
}

// add adds x times w.
func (v *vector) add(w *vector, x float32) {
	for i := range v {
		v[i] += x * w[i]
	}
}

// normalise makes v of length 1, unless it is 0.
func (v *vector) normalise() {
	if n := math.Sqrt(v.dot(v)); n > 0 {
		for i := range v {
			v[i] = float32(float64(v[i]) / n)
		}
	}
}
