package hugepage

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

type entry struct {
	a uint32
	b float64
}

// TestTablesAreWhatWasPut puts tables of several types into rooms that fit, and into some that do not.
func TestTablesAreWhatWasPut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		bytes := make([]byte, random.IntN(2*size))
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		entries := make([]entry, random.IntN(size/16))
		for i := range entries {
			entries[i] = entry{random.Uint32(), random.Float64()}
		}
		need := Size(bytes) + Size(entries)
		r := NewRoom(max(need-random.IntN(2)*2*size, 0))
		gotBytes, gotEntries := Put(r, bytes), Put(r, entries)
		r.Collapse()
		runtime.GC()
		if !slices.Equal(gotBytes, bytes) || !slices.Equal(gotEntries, entries) {
			t.Fatalf("tables of %d bytes and %d entries are others in a room of %d", len(bytes), len(entries), len(r.memory))
		}
		if len(entries) > 0 && need <= len(r.memory) && uintptr(unsafe.Pointer(&gotEntries[0]))%line != 0 {
			t.Fatal("a table does not begin a cache line")
		}
	}
}

func TestRoomBeginsAHugePage(t *testing.T) {
	for range 10 {
		if r := NewRoom(size + 1); len(r.memory) != 2*size || uintptr(unsafe.Pointer(&r.memory[0]))%size != 0 {
			t.Errorf("a room of %d bytes at %p", len(r.memory), &r.memory[0])
		}
	}
}
