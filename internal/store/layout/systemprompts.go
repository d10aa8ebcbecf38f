package layout

import (
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// SystemPrompts is how registered system prompts are kept.
var SystemPrompts = Kind[core.SystemPrompt]{
	Name: "system-prompt", Table: "system_prompts", Columns: []string{"id", "app", "label", "registered_by", "pieces", "created"},
	ID: func(p core.SystemPrompt) string { return p.ID }, Validate: store.ValidateSystemPrompt,
	Values: func(p core.SystemPrompt) []any {
		return []any{p.ID, p.App, p.Label, p.By, pieces{&p.Pieces}, store.Micros(p.Created)}
	},
	Scan: func(row Scanner) (p core.SystemPrompt, err error) {
		err = row.Scan(&p.ID, &p.App, &p.Label, &p.By, pieces{&p.Pieces}, Micros{&p.Created})
		return p, err
	},
	Refers: func(p core.SystemPrompt) map[string][]string { return map[string][]string{"apps": one(p.App)} },
}

// pieces keeps the fingerprint of a system prompt as JSON.
type pieces struct{ of *[]core.PromptPiece }

// keptPiece is a piece as it is kept.
type keptPiece struct {
	Bytes int    `json:"bytes"`
	Probe uint32 `json:"probe"`
	Sum   string `json:"sum"` // in hexadecimal
}

// Value implements driver.Valuer.
func (p pieces) Value() (driver.Value, error) {
	kept := make([]keptPiece, len(*p.of))
	for i, one := range *p.of {
		kept[i] = keptPiece{one.Bytes, one.Probe, hex.EncodeToString(one.Sum[:])}
	}
	data, err := json.Marshal(kept)
	return string(data), err
}

// Scan implements sql.Scanner.
func (p pieces) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("pieces are kept as %T", value)
	}
	var kept []keptPiece
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return err
	}
	*p.of = make([]core.PromptPiece, len(kept))
	for i, k := range kept {
		sum, err := hex.DecodeString(k.Sum)
		if err != nil || len(sum) != 32 {
			return fmt.Errorf("piece %d is kept with a hash that is none", i+1)
		}
		(*p.of)[i] = core.PromptPiece{Bytes: k.Bytes, Probe: k.Probe, Sum: [32]byte(sum)}
	}
	return nil
}
