package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/plumbline/plumbline/internal/openai"
)

type pricesCmd struct {
	Import pricesImportCmd `cmd:"" help:"Make a price table of LiteLLM's model_prices_and_context_window.json, for prices.file."`
}

type pricesImportCmd struct {
	File    string `arg:"" type:"existingfile" help:"LiteLLM's file."`
	Version string `help:"What the table is called in records, e.g. its date. Default: a digest of the file." placeholder:"NAME"`
}

// Run prints the table, and tells what is not in it.
func (c pricesImportCmd) Run(s *session) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	version := c.Version
	if version == "" {
		digest := sha256.Sum256(data)
		version = "litellm-" + hex.EncodeToString(digest[:6])
	}
	table, err := openai.ImportLiteLLM(data, version)
	if table != nil {
		for _, m := range table.Skipped {
			fmt.Fprintf(s.talk, "skipped %s: %s\n", m.Name, m.Why)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "%d models, %d skipped, %d of other providers left out\n", table.Models, len(table.Skipped), table.Others)
	_, err = fmt.Fprintf(s.out, "%s\n", table.File)
	return err
}
