// Command publish measures the shipped models on public prompts and writes the pages docs/evaluation.md,
// docs/evaluation-calibration.md and docs/evaluation-intent.md. Run it at the root of the repository:
//
//	go run ./internal/evaluate/publish
//
// It serves development only; the program must not import it.
package main

import (
	"cmp"
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
	flag.Parse()
	page := func(out string, publish func() error) error {
		if out == "" {
			return nil
		}
		return publish()
	}
	if err := cmp.Or(
		page(*intents, func() error { return publishIntent(*data, *intents) }),
		page(*promise, func() error { return publishCalibration(*data, *tasks, *promise) }),
		page(*deviations, func() error { return publishDeviation(*data, *tasks, *deviations) }),
	); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}
