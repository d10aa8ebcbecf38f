// Command train makes the shipped weights of packages intent and detect, of prompts that are written and generated for it and of public
// data. It is deterministic: one goroutine, fixed seeds, sorted iteration, and no multiplication that an architecture might
// fuse with an addition. Run it at the root of the repository:
//
//	go run ./internal/intent/train                    # train, write, report: about a minute on one core
//	go run ./internal/intent/train -prompts all.jsonl # only write the prompts that it learns from
//	go run ./internal/intent/train -cross             # only say how well lines are told that are left out, in some minutes
//
// It serves development only; the program must not import it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/evaluate"
)

func main() {
	var o options
	flag.StringVar(&o.data, "data", "../shared/data", "folder with intent/ and sentences/")
	flag.StringVar(&o.weights, "out", "internal/intent/weights.bin", "the classifier's weights")
	flag.StringVar(&o.head, "head", "internal/detect/head.bin", "the weights of the head on attacks")
	flag.StringVar(&o.report, "report", "internal/intent/train/report.txt", "where the figures of training go")
	flag.StringVar(&o.prompts, "prompts", "", "only write the prompts to learn from into this file, a JSON object a line")
	flag.BoolVar(&o.cross, "cross", false, "only leave out each fifth of the lines to learn from, and print how well they are told")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

// options are the paths of what is read and written, and what else is to be done than to train.
type options struct {
	data, weights, head, report, prompts string
	cross                                bool
}

func run(w io.Writer, o options) error {
	if o.prompts != "" {
		return writePrompts(o)
	}
	if o.cross {
		return crossValidate(w, o.data)
	}
	c, err := readCorpus(o.data)
	if err != nil {
		return err
	}
	m, report := trainClasses(c)
	head, more, err := trainAttacks(o.data)
	if err != nil {
		return err
	}
	report += more
	fmt.Fprint(w, report)
	if err := os.WriteFile(o.weights, m.Encode(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(o.head, head.Encode(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.report, []byte(report), 0o644)
}

// writePrompts writes what is learnt from in the form that plumbline eval reads.
func writePrompts(o options) error {
	f, err := os.Create(o.prompts)
	if err != nil {
		return err
	}
	prompts, err := learnt(o.data, labels())
	if err != nil {
		return err
	}
	for _, p := range prompts {
		line, err := json.Marshal(evaluate.Prompt{Set: "train", Label: p.label, Text: p.text})
		if err != nil {
			return err
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return f.Close()
}
