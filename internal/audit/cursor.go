package audit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCursor is returned for a cursor that no search of this store gave.
var ErrCursor = errors.New("audit: this is not a cursor of a search here: go on with the one that the page before gave, as it was given, " +
	"and from the same store")

// maxCursor bounds a cursor, in characters.
const maxCursor = 1024

// Cursor is the place after which the next page begins, as a text that is no one's but the store's that gave it. store is a
// letter that tells the stores apart. A sum guards against what was cut or mistyped; it keeps nobody from making one, who
// gains a page that could be asked for anyway.
func Cursor(store byte, place []byte) string {
	b := append([]byte{store}, place...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ReadCursor gives the place in a cursor of a store, or an error that wraps ErrCursor.
func ReadCursor(store byte, cursor string) (place []byte, err error) {
	if len(cursor) > maxCursor {
		return nil, fmt.Errorf("%w (it has %d characters)", ErrCursor, len(cursor))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < 5 {
		return nil, ErrCursor
	}
	b, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(b) != sum || b[0] != store {
		return nil, ErrCursor
	}
	return b[1:], nil
}
