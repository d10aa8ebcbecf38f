package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// print writes a list in the form the user asked for. row gives the cells of element i for the table.
func (s *session) print(list any, header []string, row func(i int) []string) error {
	return s.printOne(list, header, reflect.ValueOf(list).Len(), row)
}

// printOne writes any value, with a table of n rows in its stead where the user asked for a table.
func (s *session) printOne(value any, header []string, n int, row func(i int) []string) error {
	switch s.flags.Output {
	case "json":
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(value)
	case "yaml":
		data, err := yamldoc.Encode(value)
		if err != nil {
			return err
		}
		_, err = s.out.Write(data)
		return err
	}
	return s.table(header, n, row)
}

// table writes n rows under a header.
func (s *session) table(header []string, n int, row func(i int) []string) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for i := range n {
		fmt.Fprintln(w, strings.Join(row(i), "\t"))
	}
	return w.Flush()
}
