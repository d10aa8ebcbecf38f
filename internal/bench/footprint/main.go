// Command footprint measures what the models cost a process: how long the program takes from its start until it serves, how much
// memory it has then, how much of that is the models' and 200 tasks', and how much of the binary they are.
//
//	go run ./internal/bench/footprint [--binary bin/plumbline] [--starts 20] [--tasks 200] [--examples 0]
//
// A start is a new process each time, with files in the page cache, a data directory of its own and nothing else to do. The
// models' memory is measured in a process that has nothing but them.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// options say what is measured.
type options struct {
	binary                  string
	starts, tasks, examples int
	models                  bool // measure the memory of the models in this process, and nothing else
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/plumbline", "the program")
	flag.IntVar(&o.starts, "starts", 20, "how often it is started")
	flag.IntVar(&o.tasks, "tasks", 200, "tasks in force")
	flag.IntVar(&o.examples, "examples", 0, "examples of each")
	flag.BoolVar(&o.models, "models", false, "measure the models' memory alone")
	flag.Parse()
	measure := measureAll
	if o.models {
		measure = measureModels
	}
	if err := measure(o); err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

func measureAll(o options) error {
	info, err := os.Stat(o.binary)
	if err != nil {
		return err
	}
	parts := 0.0
	for _, file := range []string{"internal/embed/table.bin", "internal/intent/weights.bin", "internal/deviation/generic.txt", "internal/describe/fields.txt"} {
		part, err := os.Stat(file)
		if err != nil {
			return err
		}
		parts += mib(part.Size())
	}
	fmt.Printf("binary %.1f MiB, of which the models' files are %.1f\n", mib(info.Size()), parts)
	for _, tasks := range []int{1, o.tasks} {
		if err := measureStarts(o, tasks); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, examples := range []int{o.examples, 20, 100} {
		cmd := exec.CommandContext(context.Background(), self, "-models", "-tasks", strconv.Itoa(o.tasks), "-examples", strconv.Itoa(examples))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// measureStarts starts the program again and again on one data directory.
func measureStarts(o options, tasks int) error {
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "tasks.yaml")
	if err := os.WriteFile(file, document(tasks, o.examples), 0o600); err != nil {
		return err
	}
	data := "data_dir=" + filepath.Join(dir, "data")
	if out, err := exec.CommandContext(context.Background(), o.binary, "--set", data, "apply", "-f", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var took []time.Duration
	var memory []string
	for range o.starts {
		t, status, err := start(o.binary, data)
		if err != nil {
			return err
		}
		took, memory = append(took, t), status
	}
	slices.Sort(took)
	fmt.Printf("start with %d tasks of %d examples until it serves: median %v, fastest %v, slowest %v of %d; %s\n", tasks, o.examples,
		took[len(took)/2].Round(100*time.Microsecond), took[0].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond),
		len(took), strings.Join(memory, ", "))
	return nil
}

// start starts the program, waits for the line that says that it serves, and stops it.
func start(binary, data string) (took time.Duration, memory []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--set", data, "--set", "ops.listen=127.0.0.1:0", "--set", "audit.durability=crash-safe", "serve")
	log, err := cmd.StderrPipe()
	if err != nil {
		return 0, nil, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	said := ""
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if took == 0 && strings.Contains(lines.Text(), `"serving"`) {
			took = time.Since(begin)
			if memory, err = resident(cmd.Process.Pid); err != nil {
				break
			}
			if err = cmd.Process.Signal(syscall.SIGTERM); err != nil {
				break
			}
		}
		said = lines.Text()
	}
	if ended := cmd.Wait(); ended != nil || err != nil {
		return 0, nil, errors.Join(err, ended, errors.New(said))
	}
	if took == 0 {
		return 0, nil, errors.New("it ended before it served: " + said)
	}
	return took, memory, nil
}

// resident gives what the kernel says of a process's memory, in its words (proc_pid_status(5)).
func resident(pid int) ([]string, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(status)) {
		if name, _, _ := strings.Cut(line, ":"); name == "VmRSS" || name == "RssAnon" || name == "RssFile" {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return lines, nil
}

// measureModels loads the models and compiles the tasks in this process, scores with them, and says what that took.
func measureModels(o options) error {
	before, heapBefore, err := settled()
	if err != nil {
		return err
	}
	begin := time.Now()
	classifier, err := intent.Default()
	if err != nil {
		return err
	}
	scorer, err := deviation.Default()
	if err != nil {
		return err
	}
	loaded := time.Since(begin)
	begin = time.Now()
	var tasks []*deviation.Task
	for i := range o.tasks {
		tasks = append(tasks, scorer.Compile(task(i, o.examples)))
	}
	compiled := time.Since(begin)
	for i := range 200 { // so that what is looked up lazily is there
		view := intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: deviation.Generic()[i]}}})
		classifier.Classify(view)
		scorer.Score(view, tasks)
	}
	after, heapAfter, err := settled()
	if err != nil {
		return err
	}
	runtime.KeepAlive(tasks)
	fmt.Printf("models and %d tasks of %d examples: loaded in %v, compiled in %v; heap %.1f MiB more, resident %.1f MiB more (%.1f before)\n", o.tasks, o.examples,
		loaded.Round(100*time.Microsecond), compiled.Round(time.Millisecond), mib(heapAfter-heapBefore), after-before, before)
	return nil
}

// settled gives the resident memory in MiB and the live heap in bytes, once what is not needed was given back.
func settled() (rss float64, heap int64, err error) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	lines, err := resident(os.Getpid())
	if err != nil || len(lines) == 0 {
		return 0, 0, errors.Join(err, errors.New("the kernel does not say how much memory is resident"))
	}
	kib, err := strconv.ParseInt(strings.Fields(lines[0])[1], 10, 64)
	return float64(kib) / 1024, int64(m.HeapAlloc), err
}

// task gives a task with eight topics, like no other.
func task(i, examples int) core.Task {
	t := core.Task{ID: "task-" + strconv.Itoa(i), Title: "Work of team " + strconv.Itoa(i), Description: "What the team answers for, day by day."}
	generic := deviation.Generic()
	for n := range 8 {
		t.Topics = append(t.Topics, generic[(i*8+n)%len(generic)])
	}
	for n := range examples {
		t.Examples = append(t.Examples, generic[(i*31+n*7)%len(generic)])
	}
	return t
}

// document is the tasks as plumbline apply takes them.
func document(tasks, examples int) []byte {
	var b strings.Builder
	b.WriteString("tasks:\n")
	for i := range tasks {
		t := task(i, examples)
		fmt.Fprintf(&b, "  - id: %s\n    title: %q\n    description: %q\n    topics:\n", t.ID, t.Title, t.Description)
		for _, topic := range t.Topics {
			fmt.Fprintf(&b, "      - %q\n", topic)
		}
		if len(t.Examples) > 0 {
			b.WriteString("    examples:\n")
		}
		for _, example := range t.Examples {
			fmt.Fprintf(&b, "      - %q\n", example)
		}
	}
	return []byte(b.String())
}
