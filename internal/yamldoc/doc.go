// Package yamldoc reads YAML documents that people write: strictly, with the line and column of every problem.
//
// Contract: a key that the Go type does not have is an error that says which one may have been meant; so is a duplicate
// key, a value of the wrong kind, an anchor, an alias, a tag or a second document. All problems of one document are
// reported together, up to 100 of them; only a syntax error hides what follows it. Messages name keys and the values of an
// Enum; they never quote any other value, which may be a secret. Keys are the json tags of the Go type.
//
// It is the only package that knows the YAML and JSON Schema libraries. It imports nothing of Plumbline.
package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxSize bounds a document, in bytes.
const MaxSize = 1 << 20

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Error holds every problem of one document, in the order of the document.
type Error struct {
	Name     string // the file's
	Problems []Problem
}

// Error gives one line for each problem: name:line:column: path: message.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.Name + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": " + p.words()
	}
	return strings.Join(lines, "\n")
}

func (p Problem) words() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// maxProblems is how many problems of one document are reported: more are of no help, and would be as long as it is large.
const maxProblems = 100

// Document is a decoded document. A caller adds the problems of meaning that it finds before asking for Err.
type Document struct {
	name     string
	at       map[string]position
	problems []Problem // at most maxProblems
	more     int       // that are not among them
}

// report adds a problem, or counts it.
func (d *Document) report(p Problem) {
	if len(d.problems) == maxProblems {
		d.more++
		return
	}
	d.problems = append(d.problems, p)
}

type position struct {
	line, column int
	// text is where the first character of a text stands whose lines the document writes one by one; zero for others.
	text struct{ line, column int }
	// block reports that each line of the text is one of the document's, indented alike.
	block bool
}

// Problem adds a problem of the value at path ("deviation.block", "intents.forbidden[2]"). A path that the document does
// not have is located at the nearest part of it that the document has.
func (d *Document) Problem(path, message string) {
	line, column := 1, 1
	for at := path; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if p, ok := d.at[at]; ok {
			line, column = p.line, p.column
			break
		}
	}
	d.report(Problem{Line: line, Column: column, Path: path, Message: message})
}

// ProblemWithin adds a problem at a line and column, from 1, of the text at path: at that place of the document where the
// text stands there as it is, and else at its beginning, with the place in words.
func (d *Document) ProblemWithin(path string, line, column int, message string) {
	at, ok := d.at[path]
	text := at.text
	switch {
	case ok && text.line > 0 && line == 1:
		d.report(Problem{Line: text.line, Column: text.column + column - 1, Path: path, Message: message})
	case ok && text.line > 0 && at.block:
		d.report(Problem{Line: text.line + line - 1, Column: text.column + column - 1, Path: path, Message: message})
	case line == 1 && column == 1:
		d.Problem(path, message)
	default:
		d.Problem(path, fmt.Sprintf("%s (line %d, column %d of the text)", message, line, column))
	}
}

// Position gives the line and column of the value at path, and false when the document does not set it.
func (d *Document) Position(path string) (line, column int, ok bool) {
	p, ok := d.at[path]
	return p.line, p.column, ok
}

// Err is nil, or an *Error with all problems, or the first of them and how many more there are.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	problems := slices.Clone(d.problems)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if d.more > 0 {
		problems = append(problems, Problem{Line: 1, Column: 1, Message: strconv.Itoa(d.more) + " more problems"})
	}
	return &Error{Name: d.name, Problems: problems}
}

// Key gives the path of a key below path. Keys with other than plain characters are quoted.
func Key(path, key string) string {
	if strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Index gives the path of item i of the list at path.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
