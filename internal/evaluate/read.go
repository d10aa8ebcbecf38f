package evaluate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what is read, so that a wrong file ends in an error and not in all of the memory.
const (
	maxTasksFile = 16 << 20 // bytes
	maxTasks     = 1000
	maxPrompts   = 2_000_000
	maxLine      = 1 << 20 // bytes of one prompt's line
	maxUnpacked  = 1 << 30 // bytes of all prompts
)

// Task is a task to be judged: what an administrator would write of it, and which prompts are on it.
type Task struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Topics      []string `json:"topics"`
	// Set and Labels say which prompts are on the task. The set's other labels are off it, and so are all prompts of
	// NegativeSets.
	Set          string   `json:"set"`
	Labels       []string `json:"labels"`
	NegativeSets []string `json:"negative_sets"`
}

// Prompt is a labelled prompt.
type Prompt struct {
	Set   string `json:"set"`
	Label string `json:"label"`
	Text  string `json:"text"`
}

// ReadTasks reads a JSON array of tasks. Errors name the file and the line.
func ReadTasks(name string, r io.Reader) ([]Task, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxTasksFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxTasksFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxTasksFile)
	}
	at := func(offset int64) string {
		return fmt.Sprintf("%s:%d", name, 1+bytes.Count(data[:min(int(offset), len(data))], []byte("\n")))
	}
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if d.PeekKind() != '[' {
		return nil, fmt.Errorf("%s: must be a JSON array of tasks", at(0))
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("%s: %w", at(d.InputOffset()), err)
	}
	var tasks []Task
	lines := map[string]string{}
	for d.PeekKind() != ']' {
		var t Task
		err := json.UnmarshalDecode(d, &t, json.RejectUnknownMembers(true))
		where := at(d.InputOffset())
		if err != nil {
			return nil, fmt.Errorf("%s: %s", at(offsetOf(err, d.InputOffset())), wording(err))
		}
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s: the task that ends here: %w", where, err)
		}
		if before, twice := lines[t.ID]; twice {
			return nil, fmt.Errorf("%s: the task that ends here has the id %q, as that at %s has", where, t.ID, before)
		}
		lines[t.ID] = where
		if tasks = append(tasks, t); len(tasks) > maxTasks {
			return nil, fmt.Errorf("%s: more than %d tasks", where, maxTasks)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("%s: %w", at(d.InputOffset()), err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: something follows the array of tasks", at(d.InputOffset()))
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%s: holds no task", name)
	}
	return tasks, nil
}

func (t Task) check() error {
	switch {
	case t.ID == "":
		return errors.New("id is missing")
	case t.Title == "" && t.Description == "" && len(t.Topics) == 0:
		return errors.New("title, description and topics are all missing: there is nothing to compare with")
	case t.Set == "":
		return errors.New("set is missing")
	case len(t.Labels) == 0:
		return errors.New("labels are missing: no prompt would be on the task")
	case slices.Contains(t.NegativeSets, t.Set):
		return fmt.Errorf("negative_sets names %q, the task's own set", t.Set)
	}
	return nil
}

// offsetOf gives where in the input err is, or otherwise.
func offsetOf(err error, otherwise int64) int64 {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		return semantic.ByteOffset
	case errors.As(err, &syntactic):
		return syntactic.ByteOffset
	}
	return otherwise
}

// wording gives what err says without the place, which the line stands for.
func wording(err error) string {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return fmt.Sprintf("unknown member %q", semantic.JSONPointer.LastToken())
	case errors.As(err, &semantic):
		return fmt.Sprintf("%q must be of another kind: %v", semantic.JSONPointer.LastToken(), semantic.GoType)
	case errors.As(err, &syntactic):
		return syntactic.Err.Error()
	}
	return err.Error()
}

// ReadPrompts reads prompts, a JSON object a line, packed with gzip or not. Errors name the file and the line, and quote
// nothing of it.
func ReadPrompts(name string, r io.Reader) ([]Prompt, error) {
	return readPrompts(name, r, func(p Prompt) error {
		if p.Set == "" || p.Label == "" || p.Text == "" {
			return errors.New("set, label and text must all be there")
		}
		return nil
	})
}

// ReadTraffic reads the texts of prompts in the same form, of which neither set nor label has to be there.
func ReadTraffic(name string, r io.Reader) ([]string, error) {
	prompts, err := readPrompts(name, r, func(p Prompt) error {
		if p.Text == "" {
			return errors.New("text must be there")
		}
		return nil
	})
	texts := make([]string, len(prompts))
	for i, p := range prompts {
		texts[i] = p.Text
	}
	return texts, err
}

func readPrompts(name string, r io.Reader, check func(Prompt) error) ([]Prompt, error) {
	buffered := bufio.NewReader(r)
	var text io.Reader = buffered
	if start, _ := buffered.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		text = z
	}
	limited := &io.LimitedReader{R: text, N: maxUnpacked}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var prompts []Prompt
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var p Prompt
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("%s:%d: %s", name, n, wording(err))
		}
		if err := check(p); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if prompts = append(prompts, p); len(prompts) > maxPrompts {
			return nil, fmt.Errorf("%s:%d: more than %d prompts", name, n, maxPrompts)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: longer than %d bytes", name, n+1, maxLine)
	case err != nil:
		return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
	case limited.N <= 0:
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxUnpacked)
	case len(prompts) == 0:
		return nil, fmt.Errorf("%s: holds no prompt", name)
	}
	return prompts, nil
}
