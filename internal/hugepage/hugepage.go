// Package hugepage lays tables that are read at random into pages of 2 MB, where the system has them. A table of some megabytes
// spans thousands of pages of 4 kB, of which the processor remembers too few: most reads of a row would wait for a walk through
// the page tables first.
//
// It must not import any other package of ours.
package hugepage

import "unsafe"

const (
	// size is that of a huge page on most processors. On others asking for them has no effect.
	size = 2 << 20
	line = 64 // bytes of a cache line
)

// Room is memory that tables are put into one after the other. The collector frees it when the last of them is gone.
type Room struct {
	memory []byte // begins at a border of huge pages
	used   int
}

// NewRoom gives room for tables of so many bytes together, as [Size] tells them.
func NewRoom(bytes int) *Room {
	whole := (bytes + size - 1) / size * size
	memory := make([]byte, whole+size)
	from := int(-uintptr(unsafe.Pointer(&memory[0])) % size) //nolint:gosec // the address is looked at, no more
	return &Room{memory: memory[from : from+whole]}
}

// Size is the room that table takes.
func Size[T any](table []T) int {
	return (len(table)*int(unsafe.Sizeof(*new(T))) + line - 1) / line * line
}

// Put gives a copy of table that lies in r, or elsewhere if it does not fit. Elements must hold no pointers: the collector does
// not look for them in a Room.
func Put[T any](r *Room, table []T) []T {
	n := Size(table)
	if n == 0 || n > len(r.memory)-r.used {
		return append([]T(nil), table...)
	}
	placed := unsafe.Slice((*T)(unsafe.Pointer(&r.memory[r.used])), len(table)) //nolint:gosec // within r.memory, and aligned to a cache line
	r.used += n
	copy(placed, table)
	return placed
}

// Collapse asks the system for huge pages in place of those that the tables lie in now. Without them all works as well, only
// slower, so that a refusal is no error.
func (r *Room) Collapse() {
	if r.used > 0 {
		collapse(r.memory)
	}
}
