package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// print writes a list in the form the user asked for, and says so where it is empty. row gives the cells of element i for the table.
func (s *session) print(list any, header []string, row func(i int) []string) error {
	all := reflect.ValueOf(list)
	switch n := all.Len(); {
	case n > 0:
		return s.printOne(list, header, n, row)
	case s.flags.Output == outputTable:
		fmt.Fprintln(s.talk, "none found")
		return nil
	default: // a program reads an empty list, whether it is nil or not
		return s.encode(reflect.MakeSlice(all.Type(), 0, 0).Interface())
	}
}

// printOne writes any value, with a table of n rows in its stead where the user asked for a table. Of none there is no
// header either: the caller says in words what is not there.
func (s *session) printOne(value any, header []string, n int, row func(i int) []string) error {
	switch {
	case s.flags.Output != outputTable:
		return s.encode(value)
	case n == 0:
		return nil
	}
	return s.table(header, n, row)
}

// say writes a value, with a line in its stead where the user asked for a table.
func (s *session) say(value any, format string, args ...any) error {
	if s.flags.Output == outputTable {
		_, err := fmt.Fprintf(s.out, format+"\n", args...)
		return err
	}
	return s.encode(value)
}

// outputTable is the form of output that is for people; the others are for programs.
const outputTable = "table"

// encode writes a value for a program.
func (s *session) encode(value any) error {
	if s.flags.Output == "yaml" {
		return s.encodeYAML(value)
	}
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

func (s *session) encodeYAML(value any) error {
	data, err := yamldoc.Encode(value)
	if err != nil {
		return err
	}
	_, err = s.out.Write(data)
	return err
}

// table writes n rows under a header.
func (s *session) table(header []string, n int, row func(i int) []string) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for i := range n {
		fmt.Fprintln(w, strings.Join(cells(row(i)), "\t"))
	}
	return w.Flush()
}

// cells are values as a table shows them: on one line, and unable to command the terminal, whoever made them up.
func cells(values []string) []string {
	shown := make([]string, len(values))
	for i, v := range values {
		switch {
		case v == "":
			v = "-"
		case strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }):
			v = strconv.Quote(v)
		}
		shown[i] = v
	}
	return shown
}
