package cli

import (
	"bytes"
	"context"
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
)

var update = flag.Bool("update", false, "rewrite the reference pages")

const generated = "<!-- Generated: go test ./internal/cli -update -->\n\n"

// golden compares a page with the file in docs/reference.
func golden(t *testing.T, name, page string) {
	t.Helper()
	path := filepath.Join("..", "..", "docs", "reference", name)
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(old), page); diff != "" {
		t.Errorf("docs/reference/%s is out of date, run make generate (-file +now):\n%s", name, diff)
	}
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
		fmt.Fprintf(&page, "## plumbline %s\n\n%s\n\n", n.Summary(), help(n))
		writeFlags(&page, n.Flags)
	}
	golden(t, "commands.md", strings.TrimSpace(page.String())+"\n")
}

// help is that of a command and of the group it is in.
func help(n *kong.Node) string {
	if n.Parent != nil && n.Parent.Type == kong.CommandNode {
		return n.Parent.Help + " " + n.Help
	}
	return n.Help
}

func writeFlags(page *strings.Builder, flags []*kong.Flag) {
	var rows []string
	for _, f := range flags {
		if f.Name != "help" {
			rows = append(rows, fmt.Sprintf("| `--%s` | %s | %s |\n", f.Name, f.Default, f.Help))
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
		"The reason of a refusal is the same in the error (`plumbline.reason`), the audit, the metrics and the log.\n\n" +
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

func TestExitStatuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("version: 1\nmodels: {alow: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := "PLUMBLINE_DATA_DIR=" + dir
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want int
		says string // on either stream
	}{
		{"version", []string{"version"}, nil, 0, "plumbline"},
		{"help", []string{"--help"}, nil, 0, "Usage:"},
		{"no command", nil, nil, 2, "expected"},
		{"unknown flag", []string{"serve", "--nope"}, nil, 2, "nope"},
		{"unknown setting", []string{"config", "show", "--set", "log.levels=debug"}, nil, 2, "log.level"},
		{"unknown variable", []string{"config", "show"}, []string{"PLUMBLINE_LOG_LEVELS=x"}, 2, "PLUMBLINE_LOG_LEVEL"},
		{"good configuration", []string{"check", "config"}, []string{data}, 0, "good"},
		{"bad policy", []string{"check", "policy", bad}, nil, 3, "2:10"},
		{"nobody", []string{"user", "show", "nobody"}, []string{data}, 1, "does not exist"},
		{"somebody", []string{"user", "put", "ann"}, []string{data}, 0, ""},
		{"list", []string{"user", "list"}, []string{data}, 0, "ann"},
		{"list as JSON", []string{"user", "list", "-o", "json"}, []string{data}, 0, `"id": "ann"`},
		{"a key for no app", []string{"key", "create", "--app", "none"}, []string{data}, 1, "none"},
		{"a bad limit", []string{"limit", "put", "l", "--scope", "user", "--dimension", "tokens", "--value", "5"}, []string{data}, 1, "window"},
		{"revoke nothing", []string{"token", "revoke"}, []string{data}, 2, "--subject"},
		{"classify", []string{"classify", "What is my account balance?"}, []string{data}, 0, "confidence"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, talk bytes.Buffer
			got := Main(context.Background(), tt.args, tt.env, &out, &talk)
			if all := out.String() + talk.String(); got != tt.want || !strings.Contains(all, tt.says) {
				t.Errorf("exit status %d, want %d; want it to say %q:\n%s", got, tt.want, tt.says, all)
			}
		})
	}
}

// A key is shown once, on standard output alone, and not kept.
func TestKeyIsShownOnce(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) (string, string) {
		t.Helper()
		var out, talk bytes.Buffer
		if code := Main(context.Background(), args, []string{"PLUMBLINE_DATA_DIR=" + dir}, &out, &talk); code != 0 {
			t.Fatalf("%v: exit status %d: %s", args, code, talk.String())
		}
		return out.String(), talk.String()
	}
	run("app", "put", "helpdesk")
	key, talk := run("key", "create", "--app", "helpdesk")
	secret := strings.TrimSpace(key)
	if !strings.HasPrefix(secret, "pl_") || strings.Contains(talk, secret) {
		t.Fatalf("standard output %q, standard error %q", key, talk)
	}
	for _, format := range []string{"table", "json", "yaml"} {
		if list, _ := run("key", "list", "-o", format); strings.Contains(list, secret) || !strings.Contains(list, "helpdesk") {
			t.Errorf("key list -o %s: %s", format, list)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, _ := os.ReadFile(f); bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the key", f)
		}
	}
}
