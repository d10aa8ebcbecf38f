// Command train makes the shipped weights of packages intent and deviation from public data, and measures them on splits
// that training does not see. It is deterministic: one goroutine, fixed seeds, sorted iteration, and no multiplication
// that an architecture might fuse with an addition. Run it at the root of the repository:
//
//	go run ./internal/intent/train            # train, write, measure
//	go run ./internal/intent/train -measure   # measure what is written
//
// It serves development only; the program must not import it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

func main() {
	data := flag.String("data", "../shared/data", "folder with intent/ and sentences/")
	classes := flag.String("out", "internal/intent/weights.bin", "where the classifier's weights go")
	scorer := flag.String("deviation", "internal/deviation/weights.bin", "where the scorer's weights go")
	measure := flag.Bool("measure", false, "only measure the weights that are there")
	flag.Parse()
	if err := run(os.Stdout, *data, *classes, *scorer, *measure); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, data, classes, scorer string, measure bool) error {
	c, err := readCorpus(data)
	if err != nil {
		return err
	}
	if !measure {
		if err := os.WriteFile(classes, trainClasses(c).Encode(), 0o644); err != nil { //nolint:gosec // weights are public
			return err
		}
		m, err := trainDeviation(c)
		if err != nil {
			return err
		}
		if err := os.WriteFile(scorer, m.Encode(), 0o644); err != nil { //nolint:gosec // weights are public
			return err
		}
	}
	// What was written is read back as the program will read it.
	return report(w, c, classes, scorer)
}

func report(w io.Writer, c *corpus, classes, scorer string) error {
	raw, err := os.ReadFile(classes)
	if err != nil {
		return err
	}
	im, err := intent.ParseModel(raw)
	if err != nil {
		return err
	}
	cl, err := intent.New(im)
	if err != nil {
		return err
	}
	measureClasses(w, cl, c.test)
	if raw, err = os.ReadFile(scorer); err != nil {
		return err
	}
	dm, err := deviation.ParseModel(raw)
	if err != nil {
		return err
	}
	s, err := deviation.New(dm)
	if err != nil {
		return err
	}
	return measureDeviation(w, s, c)
}
