package redis

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// The arguments of scripts and what they keep are MessagePack, which Redis reads and writes on its own: one argument with
// many numbers costs the server less than many arguments. Only what is needed is here: arrays, integers, strings.

func packArray(b []byte, n int) []byte {
	if n < 16 {
		return append(b, 0x90|byte(n))
	}
	return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n)) //nolint:gosec // maxLines and MaxPostings bound it
}

func packInt(b []byte, v int64) []byte {
	switch {
	case v >= 0 && v < 1<<7:
		return append(b, byte(v))
	case v >= 0 && v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v >= 0 && v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v)) //nolint:gosec // two's complement
	}
}

func packText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(s))), s...) //nolint:gosec // of bounded length
}

func packInts(b []byte, values ...int64) []byte {
	b = packArray(b, len(values))
	for _, v := range values {
		b = packInt(b, v)
	}
	return b
}

// name is what the record of a reservation keeps of a line for those who do not know it: the name of its counter and the
// id of its limit.
type name struct{ counter, limit string }

var errNames = errors.New("quota/redis: a reservation's names cannot be read")

// packNames gives names as one text: the counter's, of one length, then the length of the limit's id and the id.
func packNames(b []byte, lines []line) []byte {
	var text []byte
	for i := range lines {
		text = append(text, lines[i].counter...)
		text = binary.AppendUvarint(text, uint64(len(lines[i].limit.ID)))
		text = append(text, lines[i].limit.ID...)
	}
	return packText(b, string(text))
}

// readNames reads what packNames wrote.
func readNames(text string) ([]name, error) {
	var names []name
	for len(text) > 0 {
		if len(text) < counterName || strings.ContainsFunc(text[:counterName], notBase64) {
			return nil, errNames
		}
		n := name{counter: text[:counterName]}
		text = text[counterName:]
		length, read := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
		if read <= 0 || length > uint64(len(text)-read) {
			return nil, errNames
		}
		n.limit, text = text[read:read+int(length)], text[read+int(length):]
		names = append(names, n)
	}
	return names, nil
}

func notBase64(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// counterName is how long the name of a counter is: 16 bytes in base64.
var counterName = base64.RawURLEncoding.EncodedLen(16)
