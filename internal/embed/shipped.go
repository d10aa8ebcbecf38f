package embed

import (
	_ "embed" // the table
	"sync"
)

//go:embed table.bin
var shipped []byte

var loaded = sync.OnceValues(func() (*Table, error) { return Parse(shipped) })

// Default gives the table that the program carries.
func Default() (*Table, error) { return loaded() }
