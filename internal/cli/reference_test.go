package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the reference pages")

const generated = "<!-- Generated: go test ./internal/cli -update -->\n\n"

// golden compares a page with the file in docs/reference.
func golden(t *testing.T, name, page string) {
	t.Helper()
	testkit.Golden(t, filepath.Join("..", "..", "docs", "reference", name), []byte(page), *update, "run make generate")
}

func TestReferenceOfCommands(t *testing.T) {
	var c commands
	parser, err := newParser(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString("# Commands\n\n" + generated +
		"Data goes to standard output, talk to standard error. Exit status: 0 done, 1 failed, 2 wrong usage or configuration,\n" +
		"3 a check found problems.\n\n## Flags of every command\n\n")
	writeFlags(&page, parser.Model.Flags)
	for _, n := range parser.Model.Leaves(true) {
		fmt.Fprintf(&page, "## plumbline %s\n\n%s\n\n", n.Summary(), n.Help)
		writeFlags(&page, n.Flags)
	}
	golden(t, "commands.md", strings.TrimSpace(page.String())+"\n")
}

func writeFlags(page *strings.Builder, flags []*kong.Flag) {
	var rows []string
	for _, f := range flags {
		if f.Name != "help" {
			name := "`--" + f.Name + "`"
			if f.Short != 0 {
				name = fmt.Sprintf("`-%c`, %s", f.Short, name)
			}
			if f.Tag.Negatable != "" {
				name += ", `--no-" + f.Name + "`"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", name, f.Default, f.Help))
		}
	}
	if len(rows) > 0 {
		page.WriteString("| flag | default | |\n|---|---|---|\n" + strings.Join(rows, "") + "\n")
	}
}

func TestReferenceOfReasons(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "core", "reason.go"))
	if err != nil {
		t.Fatal(err)
	}
	var declared, documented []string
	for _, m := range regexp.MustCompile(`Reason = "([a-z_]+)"`).FindAllSubmatch(source, -1) {
		declared = append(declared, string(m[1]))
	}
	page := "# Reasons\n\n" + generated +
		"The reason of a refusal is the same in the error (`error.plumbline.reason`), the audit, the metrics and the log.\n\n" +
		"| reason | status | type / code | what happened | what to do |\n|---|---|---|---|---|\n"
	for _, r := range core.Reasons() {
		documented = append(documented, string(r.Reason))
		status, code := "–", "–"
		if r.Reason != core.ReasonNone {
			reply := openai.ErrorReply(&core.Error{Reason: r.Reason}, openai.ErrorContext{Now: time.Unix(0, 0)})
			status, code = fmt.Sprint(reply.Status), typeAndCode(t, reply.Body)
		}
		page += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", r.Reason, status, code, r.Meaning, r.Advice)
	}
	slices.Sort(declared)
	slices.Sort(documented)
	if diff := cmp.Diff(declared, documented); diff != "" {
		t.Errorf("core.Reasons() does not list every reason (-declared +listed):\n%s", diff)
	}
	golden(t, "reasons.md", page)
}

func typeAndCode(t *testing.T, body []byte) string {
	t.Helper()
	m := regexp.MustCompile(`"type":"([a-z_]+)".*"code":"([a-z_]+)"`).FindSubmatch(body)
	if m == nil {
		t.Fatalf("no type and code in %s", body)
	}
	return fmt.Sprintf("%s / %s", m[1], m[2])
}
