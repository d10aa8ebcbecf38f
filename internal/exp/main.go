package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/testset"
)

func main() {
	raw, _ := os.ReadFile("internal/intent/weights.bin")
	m, err := intent.ParseModel(raw)
	if err != nil {
		panic(err)
	}
	t, _ := embed.Default()
	c, err := intent.New(m, t)
	if err != nil {
		panic(err)
	}
	ps, err := testset.Load("/work/shared/data")
	if err != nil {
		panic(err)
	}
	var prompts []evaluate.Prompt
	for _, p := range ps {
		prompts = append(prompts, evaluate.Prompt{Set: p.Source, Label: p.Label, Text: p.Text})
	}
	r, err := evaluate.Intent(c, prompts)
	if err != nil {
		panic(err)
	}
	j, _ := json.Marshal(r.Forced)
	fmt.Println(string(j), r.Unscored)
	j, _ = json.Marshal(r.Floor)
	fmt.Println(string(j))
	for _, c := range r.Classes {
		fmt.Printf("%-20s %3d p %.2f r %.2f f1 %.3f ± %.3f %v\n", c.Label, c.Prompts, c.Precision, c.Recall, c.F1.Value, c.F1.SE, c.Mistaken)
	}
}
