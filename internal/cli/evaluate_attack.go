package cli

import (
	"strconv"

	"github.com/plumbline/plumbline/internal/detect/evaluation"
)

type evalAttackCmd struct {
	Data string `help:"Folder with intent/ and sentences/, as their README describes them." required:"" type:"existingdir" placeholder:"DIR"`
}

func (c evalAttackCmd) Run(s *session) error {
	report, err := evaluation.Run(c.Data)
	if err != nil {
		return err
	}
	type line struct {
		group string
		row   evaluation.Row
	}
	var lines []line
	for _, group := range [...]struct {
		name string
		rows []evaluation.Row
	}{{"ordinary", report.Ordinary}, {"lookalike", report.Lookalikes}, {"attack", report.Attacks}} {
		for _, row := range group.rows {
			lines = append(lines, line{group.name, row})
		}
	}
	header := []string{"GROUP", "SOURCE", "PROMPTS", "ATTACK FOUND", "SHARE", "SECRET FOUND", "BLOCKED"}
	return s.printOne(report, header, len(lines), func(i int) []string {
		r := lines[i].row
		return []string{
			lines[i].group, r.Source, strconv.Itoa(r.Prompts), strconv.Itoa(r.Attacks), evaluation.Share(r.Attacks, r.Prompts),
			strconv.Itoa(r.Secrets), strconv.Itoa(r.Blocked),
		}
	})
}
