// Command train makes the shipped weights of package intent from public data, and measures them on splits that training
// does not see. It is deterministic: one goroutine, fixed seeds, sorted iteration, and no multiplication
// that an architecture might fuse with an addition. Run it at the root of the repository:
//
//	go run ./internal/intent/train            # train, write, measure: about 15 s on one core
//	go run ./internal/intent/train -measure   # measure what is written
//
// It serves development only; the program must not import it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/plumbline/plumbline/internal/intent"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", "../shared/data", "folder with intent/ and sentences/")
	flag.StringVar(&o.intent, "out", "internal/intent/weights.bin", "the classifier's weights")
	flag.StringVar(&o.report, "report", "internal/intent/train/report.txt", "where the figures go besides the output")
	flag.BoolVar(&o.measure, "measure", false, "only measure the weights that are there, and print")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

// options are the paths of what is read and written.
type options struct {
	data, intent, report string
	measure              bool
}

func run(w io.Writer, o options) error {
	c, err := readCorpus(o.data)
	if err != nil {
		return err
	}
	if o.measure {
		return report(w, c, o)
	}
	classes, err := trainClasses(c)
	if err != nil {
		return err
	}
	if err := write(o.intent, classes.Encode()); err != nil {
		return err
	}
	var figures bytes.Buffer
	if err := report(io.MultiWriter(w, &figures), c, o); err != nil {
		return err
	}
	return write(o.report, figures.Bytes())
}

func write(name string, data []byte) error {
	return os.WriteFile(name, data, 0o644)
}

// report measures the weights as they stand in their files, as the program will read them.
func report(w io.Writer, c *corpus, o options) error {
	raw, err := os.ReadFile(o.intent)
	if err != nil {
		return err
	}
	classes, err := intent.ParseModel(raw)
	if err != nil {
		return err
	}
	classifier, err := intent.New(classes)
	if err != nil {
		return err
	}
	measureClasses(w, classifier, c.test)
	return nil
}
