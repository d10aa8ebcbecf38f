// Command publish measures the shipped models on public prompts and writes the pages docs/evaluation.md,
// docs/evaluation-calibration.md and docs/evaluation-intent.md. Run it at the root of the repository:
//
//	go run ./internal/evaluate/publish
//
// It serves development only; the program must not import it.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	data := flag.String("data", "../shared/data", "folder with intent/")
	tasks := flag.String("tasks", "internal/evaluate/publish", "folder with the tasks' own words")
	deviations := flag.String("deviation", "docs/evaluation.md", "the page on deviation to write, none where empty")
	promise := flag.String("calibration", "docs/evaluation-calibration.md", "the page on the promise to write, none where empty")
	intents := flag.String("intent", "docs/evaluation-intent.md", "the page on intents to write, none where empty")
	dev := flag.Bool("develop", false, "measure deviation on the development data instead, and print it")
	flag.Parse()
	if *dev {
		if err := develop(*data, *tasks, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "publish:", err)
			os.Exit(1)
		}
		return
	}
	for _, page := range []struct {
		out     string
		publish func(data, tasks, out string) error
	}{{*intents, publishIntent}, {*promise, publishCalibration}, {*deviations, publishDeviation}} {
		if page.out == "" {
			continue
		}
		if err := page.publish(*data, *tasks, page.out); err != nil {
			fmt.Fprintln(os.Stderr, "publish:", err)
			os.Exit(1)
		}
	}
}
