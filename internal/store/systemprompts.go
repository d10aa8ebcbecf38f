package store

import "github.com/plumbline/plumbline/internal/core"

// ValidateSystemPrompt reports all that is wrong with a registered system prompt itself.
func ValidateSystemPrompt(s core.SystemPrompt) error {
	var p problems
	p.id("id", s.ID)
	p.id("app", s.App)
	if s.Label == "" || s.By == "" {
		p.add("label and by must not be empty")
	}
	p.line("label", s.Label)
	p.line("by", s.By)
	p.time("created", s.Created)
	if n := len(s.Pieces); n == 0 || n > core.MaxPromptPieces {
		p.add("it must have 1 to %d pieces", core.MaxPromptPieces)
		return p.err("system-prompt", s.ID)
	}
	total := 0
	for i, piece := range s.Pieces {
		least := 1
		switch i {
		case 0:
			least = core.MinPromptStart
		case len(s.Pieces) - 1:
			least = 0
		}
		if piece.Bytes < least || piece.Bytes > core.MaxSystemPrompt {
			p.add("piece %d cannot have %d bytes", i+1, piece.Bytes)
			break
		}
		if piece.Sum == [32]byte{} {
			p.add("piece %d has no hash", i+1)
			break
		}
		total += piece.Bytes
	}
	if total > core.MaxSystemPrompt {
		p.add("it is longer than %d bytes", core.MaxSystemPrompt)
	}
	return p.err("system-prompt", s.ID)
}
