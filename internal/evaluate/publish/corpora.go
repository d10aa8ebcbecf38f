package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/evaluate"
)

// corpus is what tasks are measured on: labelled prompts, and others without labels that make the traffic.
type corpus struct {
	tasks   []evaluate.Task
	prompts []evaluate.Prompt
	traffic []string
}

func (c *corpus) judge(set, label, text string) {
	c.prompts = append(c.prompts, evaluate.Prompt{Set: set, Label: label, Text: text})
}

func readTasks(file string) ([]evaluate.Task, error) {
	var tasks []evaluate.Task
	return tasks, readJSON(file, &tasks)
}

func readJSON(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readCLINC judges the ten domains of CLINC150 on its test splits. Prompts out of scope are a set of their own, and off
// every task.
func readCLINC(data string, tasks []evaluate.Task) (*corpus, error) {
	return readSplits(data, tasks, "test")
}

// readSplits judges them on some splits.
func readSplits(data string, tasks []evaluate.Task, splits ...string) (*corpus, error) {
	var intents map[string][]string
	if err := readJSON(filepath.Join(data, "clinc150", "domains.json"), &intents); err != nil {
		return nil, err
	}
	for i := range tasks {
		t := &tasks[i]
		t.Set, t.Labels, t.NegativeSets = "clinc", intents[t.ID], []string{"oos"}
	}
	c := &corpus{tasks: tasks}
	return c, c.addCLINC(data, splits...)
}

// addCLINC adds splits to be judged; the training split is traffic otherwise.
func (c *corpus) addCLINC(data string, judged ...string) error {
	var splits map[string][][2]string
	if err := readJSON(filepath.Join(data, "clinc150", "data_full.json"), &splits); err != nil {
		return err
	}
	for _, part := range judged {
		for _, from := range [][2]string{{part, "clinc"}, {"oos_" + part, "oos"}} {
			for _, row := range splits[from[0]] {
				c.judge(from[1], row[1], row[0])
			}
		}
	}
	if slices.Contains(judged, "train") {
		return nil
	}
	for _, part := range []string{"train", "oos_train"} {
		for _, row := range splits[part] {
			c.traffic = append(c.traffic, row[0])
		}
	}
	return nil
}

// judgedOfGSM8K is how many of GSM8K's problems are judged: it has no other split here, so the others make traffic.
const judgedOfGSM8K = 300

// readOffice judges tasks of a company on several sets.
func readOffice(data string, tasks []evaluate.Task) (*corpus, error) {
	c := &corpus{tasks: tasks}
	if err := c.addCLINC(data, "test"); err != nil {
		return nil, err
	}
	if err := c.addBanking(filepath.Join(data, "banking77"), "test"); err != nil {
		return nil, err
	}
	for _, source := range []struct {
		file string
		add  func(row line, n int)
	}{
		{"gsm8k/test.jsonl", func(row line, n int) {
			if n < judgedOfGSM8K {
				c.judge("gsm8k", "maths", row.Question)
				return
			}
			c.traffic = append(c.traffic, row.Question)
		}},
		{"humaneval/HumanEval.jsonl.gz", func(row line, _ int) { c.judge("humaneval", "code", row.Prompt) }},
		{"self-instruct/user_oriented_instructions.jsonl", func(row line, _ int) { c.judge("self-instruct", row.App, row.request()) }},
		{"self-instruct/seed_tasks.jsonl", func(row line, _ int) { c.traffic = append(c.traffic, row.request()) }},
		{"mt-bench/question.jsonl", func(row line, _ int) { c.judge("mt-bench", row.Category, row.Turns[0]) }},
	} {
		if err := eachLine(filepath.Join(data, source.file), source.add); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addBanking adds both splits: one to be judged, and the other as traffic.
func (c *corpus) addBanking(folder, judged string) error {
	for _, split := range []string{"train", "test"} {
		f, err := os.Open(filepath.Join(folder, split+".csv"))
		if err != nil {
			return err
		}
		rows, err := csv.NewReader(f).ReadAll()
		_ = f.Close() // nothing was written
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		for _, row := range rows[1:] {
			if split == judged {
				c.judge("banking", row[1], row[0])
			} else {
				c.traffic = append(c.traffic, row[0])
			}
		}
	}
	return nil
}

// line is a row of any of the sets that have a JSON object a line.
type line struct {
	Question    string   `json:"question"`
	Prompt      string   `json:"prompt"`
	Category    string   `json:"category"`
	Turns       []string `json:"turns"`
	Instruction string   `json:"instruction"`
	App         string   `json:"motivation_app"`
	Instances   []struct {
		Input string `json:"input"`
	} `json:"instances"`
}

// request is what self-instruct asks, with what it is asked of.
func (l line) request() string {
	if len(l.Instances) == 0 {
		return l.Instruction
	}
	return strings.TrimSpace(l.Instruction + "\n\n" + l.Instances[0].Input)
}

// eachLine reads a file of JSON objects, packed if its name says so.
func eachLine(file string, use func(row line, n int)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	var text io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		var row line
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
		use(row, n)
	}
	return lines.Err()
}
