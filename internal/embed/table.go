package embed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/plumbline/plumbline/internal/hugepage"
)

// The format of a table, little-endian: the magic line, the version line, the numbers of columns, pieces, pairs and bytes
// of text as uint32; the pieces, each on a line; how rare each piece is and the scale of each row as float32; the pairs, each
// its first and second piece as uint16, in order; the rows, a signed byte a column, of the pieces and then of the pairs; and
// the SHA-256 of all before it.
const magic = "plumbline embedding 1\n"

// Bounds on a table, so that a foreign file asks for no more memory than a table can need.
const (
	maxVersion = 64
	// MaxDim is the greatest number of columns.
	MaxDim    = 512
	maxPieces = slotPiece
	maxPairs  = 1 << 18
	// maxPiece is the length of a piece in bytes, with what marks one that goes on a word.
	maxPiece = 64
)

// continues marks, in the file, a piece that does not begin a word.
const continues = "##"

// Piece is the number of a piece of the vocabulary.
type Piece uint16

// Table is the vocabulary and its rows. It is immutable and safe for concurrent use.
type Table struct {
	size    int64 // of the file
	version string
	names   []byte // of the pieces, as they are in the file
	dim     int
	pieces  []entry
	rows    []byte     // signed; of the pieces, then of the pairs
	slots   []uint64   // open addressing from hash to piece, at most half full
	pairs   []pairSlot // the same from two pieces to their row
	shift   uint       // of a hash, to give a slot of pairs
	longest int        // bytes of the longest piece
}

// entry is what is known of a piece but its row. Most pieces that meet are no pair: before and after tell so without a look
// at the pairs, which is a wait for memory. They have a bit for each piece that stands before or after in a pair, which some
// may share.
type entry struct {
	rarity, scale float32
	before, after uint64
}

// sign is the bit of p.
func sign(p Piece) uint64 { return 1 << (uint16(p) * 0x9E37 >> 10) }

// pairSlot is a place in the table of pairs. Rows of pairs are never row 0.
type pairSlot struct {
	key, row uint32
	scale    float32
}

// header is the fixed part after the lines.
type header struct{ Dim, Pieces, Pairs, Text uint32 }

// Parse reads a table. It keeps the names of the pieces as they lie in data, which must not be changed any more. An error says
// what is wrong with the file; a table that is read is whole.
func Parse(data []byte) (*Table, error) { return parse(data, nil) }

// parse is Parse for a table that must have the pieces of another, where that is given, and shares with it what they are looked
// up by.
func parse(data []byte, standard *Table) (*Table, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errors.New("embed: not a table of this format")
	}
	end := len(data) - sha256.Size
	if end < len(magic) || sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return nil, errors.New("embed: the table is cut off or changed: its digest is not that of its content")
	}
	rest = rest[:len(rest)-sha256.Size]
	version, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || !IsVersion(string(version)) {
		return nil, errors.New("embed: the table has no version that can be a name")
	}
	var h header
	n, err := binary.Decode(rest, binary.LittleEndian, &h)
	if err != nil {
		return nil, errors.New("embed: the table ends within its header")
	}
	rest = rest[n:]
	if h.Dim == 0 || h.Dim > MaxDim || h.Dim%4 != 0 || h.Pieces == 0 || h.Pieces > maxPieces || h.Pairs > maxPairs {
		return nil, fmt.Errorf("embed: a table cannot have %d columns, %d pieces and %d pairs", h.Dim, h.Pieces, h.Pairs)
	}
	rows := uint64(h.Pieces) + uint64(h.Pairs)
	if want := uint64(h.Text) + 4*uint64(h.Pieces) + 4*rows + 4*uint64(h.Pairs) + rows*uint64(h.Dim); want != uint64(len(rest)) {
		return nil, fmt.Errorf("embed: the table has %d bytes after its header and says %d", len(rest), want)
	}
	t := &Table{size: int64(len(data)), version: string(version), dim: int(h.Dim), names: rest[:h.Text]}
	if standard == nil {
		err = t.readPieces(t.names, int(h.Pieces))
	} else {
		err = t.sharePieces(standard, int(h.Pieces))
	}
	if err != nil {
		return nil, err
	}
	rest = rest[h.Text:]
	rarity, rest, err := readFloats(rest, int(h.Pieces))
	if err != nil {
		return nil, err
	}
	scales, rest, err := readFloats(rest, int(rows))
	if err != nil {
		return nil, err
	}
	t.pieces = make([]entry, h.Pieces)
	for i := range t.pieces {
		t.pieces[i] = entry{rarity: rarity[i], scale: scales[i]}
	}
	if err := t.readPairs(rest[:4*h.Pairs], scales[h.Pieces:]); err != nil {
		return nil, err
	}
	t.rows = rest[4*h.Pairs:]
	t.place(standard == nil)
	return t, nil
}

// IsVersion reports whether version can be that of a table: it is safe wherever names stand, in records, metrics, terminals and
// names of files.
func IsVersion(version string) bool {
	if version == "" || len(version) > maxVersion || version[0] == '-' || version[0] == '.' {
		return false
	}
	for _, c := range []byte(version) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// place copies all that is read at random to where it is read fastest: the slots only if they are the table's own.
func (t *Table) place(slots bool) {
	size := hugepage.Size(t.rows) + hugepage.Size(t.pieces) + hugepage.Size(t.pairs)
	if slots {
		size += hugepage.Size(t.slots)
	}
	room := hugepage.NewRoom(size)
	t.rows, t.pieces = hugepage.Put(room, t.rows), hugepage.Put(room, t.pieces)
	if slots {
		t.slots = hugepage.Put(room, t.slots)
	}
	t.pairs = hugepage.Put(room, t.pairs)
	room.Collapse()
}

// sharePieces takes the vocabulary of another table for one of n pieces that has the same.
func (t *Table) sharePieces(o *Table, n int) error {
	if n != len(o.pieces) || !bytes.Equal(t.names, o.names) {
		return errors.New("embed: the table has other pieces of words than the shipped one; prompts are cut into the shipped one's")
	}
	t.names, t.slots, t.longest = o.names, o.slots, o.longest // nothing keeps the file's names in memory then
	return nil
}

// readPieces reads the vocabulary and makes it ready to be looked up.
func (t *Table) readPieces(text []byte, n int) error {
	t.slots = make([]uint64, 1<<bits.Len(uint(2*n)))
	read := 0
	for line := range bytes.Lines(text) {
		name, whole := bytes.CutSuffix(line, []byte("\n"))
		bare, inside := bytes.CutPrefix(name, []byte(continues))
		if !whole || len(bare) == 0 || len(name) > maxPiece || read == n || !plain(bare) {
			return fmt.Errorf("embed: line %d of the table's vocabulary is no piece", read+1)
		}
		h := hash(bare, inside)
		if _, known := t.piece(h); known {
			return fmt.Errorf("embed: line %d of the table's vocabulary repeats another", read+1)
		}
		t.insert(h, read)
		t.longest = max(t.longest, len(bare))
		read++
	}
	if read < n {
		return fmt.Errorf("embed: the table's vocabulary has %d of %d pieces", read, n)
	}
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789") {
		for _, inside := range [...]bool{false, true} {
			if _, known := t.piece(hash([]byte{c}, inside)); !known {
				return fmt.Errorf("embed: the table's vocabulary lacks the letter or digit %q alone", c)
			}
		}
	}
	return nil
}

// plain reports a piece of lower-case ASCII letters and digits, which is all that a folded word has.
func plain(piece []byte) bool {
	for _, c := range piece {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func (t *Table) readPairs(keys []byte, scales []float32) error {
	n, pieces := len(keys)/4, len(t.pieces)
	size := bits.Len(uint(2 * n))
	t.pairs, t.shift = make([]pairSlot, 1<<size), uint(32-size)
	last := int64(-1)
	for i := range n {
		a, b := Piece(binary.LittleEndian.Uint16(keys[4*i:])), Piece(binary.LittleEndian.Uint16(keys[4*i+2:]))
		key := pairKey(a, b)
		if int64(key) <= last || int(a) >= pieces || int(b) >= pieces {
			return fmt.Errorf("embed: pair %d of the table is out of order or of pieces that it has not", i+1)
		}
		last = int64(key)
		at := t.firstPair(key)
		for t.pairs[at].row != 0 {
			at = t.nextPair(at)
		}
		t.pairs[at] = pairSlot{key, uint32(pieces + i), scales[i]}
		t.pieces[a].after |= sign(b)
		t.pieces[b].before |= sign(a)
	}
	return nil
}

func pairKey(a, b Piece) uint32 { return uint32(a)<<16 | uint32(b) }

func (t *Table) firstPair(key uint32) uint32 { return key * 0x9E3779B1 >> t.shift }

func (t *Table) nextPair(at uint32) uint32 { return (at + 1) & uint32(len(t.pairs)-1) }

// pair gives the slot of the pair a b, or a free one.
func (t *Table) pair(a, b Piece) *pairSlot {
	key := pairKey(a, b)
	for at := t.firstPair(key); ; at = t.nextPair(at) {
		if s := &t.pairs[at]; s.row == 0 || s.key == key {
			return s
		}
	}
}

func readFloats(data []byte, n int) (floats []float32, rest []byte, err error) {
	floats = make([]float32, n)
	for i := range floats {
		floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		if f := float64(floats[i]); math.IsNaN(f) || f < 0 || f > 1e6 {
			return nil, nil, fmt.Errorf("embed: number %d of the table's weights is none that it can have", i+1)
		}
	}
	return floats, data[4*n:], nil
}

// Version names the table, e.g. for audit records.
func (t *Table) Version() string { return t.version }

// Size is the length of the file that the table was read from, in bytes.
func (t *Table) Size() int64 { return t.size }

// SamePieces reports whether t cuts every text into the pieces that o does: what one has cut, the other can sum.
func (t *Table) SamePieces(o *Table) bool { return t == o || o != nil && &t.slots[0] == &o.slots[0] }

// Dim is the number of columns, which is the length of every vector.
func (t *Table) Dim() int { return t.dim }

// Len is the number of pieces.
func (t *Table) Len() int { return len(t.pieces) }

// Words gives up to n pieces of the vocabulary that begin a word, in its order, which is that of how usual they are.
func (t *Table) Words(n int) []string {
	var words []string
	for line := range bytes.Lines(t.names) {
		if len(words) == n {
			break
		}
		if word := string(bytes.TrimSpace(line)); !strings.HasPrefix(word, continues) {
			words = append(words, word)
		}
	}
	return words
}

// Rarity is the inverse document frequency of p in the texts that the table learnt from, a natural logarithm.
func (t *Table) Rarity(p Piece) float32 { return t.pieces[p].rarity }
