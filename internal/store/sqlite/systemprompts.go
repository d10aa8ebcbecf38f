package sqlite

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// SystemPrompts implements store.Store.
func (s *Store) SystemPrompts() store.Table[core.SystemPrompt] {
	return table[core.SystemPrompt]{s, systemPrompts}
}
