package redis

import (
	"encoding/binary"
	"math"
)

// The numbers that scripts are given, keep and answer are doubles, 8 bytes each and little-endian, many in one text: of all
// that Redis can read they cost it least.

// most is the largest integer below which a double keeps all of them.
const most = 1<<53 - 1

func packInt(b []byte, v int64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(v)))
}

func packInts(b []byte, values ...int64) []byte {
	for _, v := range values {
		b = packInt(b, v)
	}
	return b
}

// numbers reads a text of doubles one by one.
type numbers struct {
	text  string
	short bool // one was missing, or is no integer that a double keeps
}

func (n *numbers) next() int64 {
	if len(n.text) < 8 {
		n.text, n.short = "", true
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64([]byte(n.text[:8])))
	n.text = n.text[8:]
	if v != math.Trunc(v) || math.Abs(v) > most {
		n.short = true
		return 0
	}
	return int64(v)
}

func (n *numbers) skip(count int) {
	if len(n.text) < 8*count {
		n.text, n.short = "", true
		return
	}
	n.text = n.text[8*count:]
}

func (n *numbers) left() int { return len(n.text) / 8 }
