package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/testkit"
)

// plumbline runs one command in the test's process.
func plumbline(t testing.TB, env []string, args ...string) (out, talk string, code int) {
	t.Helper()
	return plumblineReading(t, "", env, args...)
}

// plumblineReading is plumbline with something on standard input.
func plumblineReading(t testing.TB, stdin string, env []string, args ...string) (out, talk string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Main(t.Context(), args, env, strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// TestSessions replays what a person types. Each case is an archive: files, and a transcript in which a line that begins
// with $ is a command, one with ! standard error, and the rest standard output. A command may begin with variables and
// end in a file to write or, with <, to read; $KEY and $TOKEN stand for the ids of the latest key and token.
func TestSessions(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	envoy := "ENVOY=" + testkit.EnvoyBinary(t)
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			path, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			archive, script, got := replaySession(t, path, envoy)
			if *update {
				script.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script.Data), got); diff != "" {
				t.Errorf("the session differs; go test ./internal/cli -update rewrites it (-file +now):\n%s", diff)
			}
		})
	}
}

// replaySession replays the case at an absolute path in a folder of its own, and gives what was said.
func replaySession(t *testing.T, path string, env ...string) (archive *txtar.Archive, script *txtar.File, got string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	seedAudit(t, "seeded", false)
	seedAudit(t, "tampered", true)
	seedSigned(t, "signed", "")
	seedSigned(t, "rewritten", "UPDATE entries SET record = ?, leaf = ?, user = 'eve' WHERE id = 3")
	seedSigned(t, "unchecked", "DELETE FROM checkpoints WHERE size = 3")
	seedTraffic(t, "traffic", false)
	seedTraffic(t, "altered", true)
	if filepath.Base(path) == "jobs.txtar" {
		seedJobs(t)
	}
	for i, f := range archive.Files {
		if f.Name == "session" {
			script = &archive.Files[i]
			continue
		}
		if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &person{t: t, env: env}
	return archive, script, p.replay(string(script.Data))
}

// person types commands and remembers the ids that were shown.
type person struct {
	t          *testing.T
	env        []string
	key, token string
}

var (
	word     = regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`)
	variable = regexp.MustCompile(`^[A-Z_]+=`)
	keyID    = regexp.MustCompile(`key-[0-9a-f-]{36}`)
	tokenID  = regexp.MustCompile(`token ([A-Z2-7]{26}),`)
)

// replay gives the transcript of the commands that are in script.
func (p *person) replay(script string) string {
	var transcript strings.Builder
	for line := range strings.Lines(script) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		out, talk, code := p.run(strings.NewReplacer("$KEY", p.key, "$TOKEN", p.token).Replace(command))
		transcript.WriteString(line + mask(out))
		for said := range strings.Lines(mask(talk)) {
			transcript.WriteString("! " + said)
		}
		if code != 0 {
			fmt.Fprintf(&transcript, "exit status %d\n", code)
		}
	}
	return transcript.String()
}

func (p *person) run(command string) (out, talk string, code int) {
	env, args, target := p.env, []string{}, ""
	if c, file, ok := strings.Cut(command, " > "); ok {
		command, target = c, strings.TrimSpace(file)
	}
	stdin := ""
	if c, file, ok := strings.Cut(command, " < "); ok {
		data, err := os.ReadFile(strings.TrimSpace(file))
		if err != nil {
			p.t.Fatal(err)
		}
		command, stdin = c, string(data)
	}
	for _, m := range word.FindAllStringSubmatch(command, -1) {
		switch w := m[1] + m[2] + m[3]; {
		case variable.MatchString(w) && len(args) == 0:
			env = append(env, w)
		default:
			args = append(args, w)
		}
	}
	if args[0] != "plumbline" {
		p.t.Fatalf("not a command of plumbline: %s", command)
	}
	out, talk, code = plumblineReading(p.t, stdin, env, args[1:]...)
	if id := keyID.FindString(talk + out); id != "" {
		p.key = id
	}
	if m := tokenID.FindStringSubmatch(talk); m != nil {
		p.token = m[1]
	}
	if target != "" {
		if err := os.WriteFile(target, []byte(out), 0o600); err != nil {
			p.t.Fatal(err)
		}
		out = ""
	}
	return out, talk, code
}

// masks hide what differs from run to run. Seeded times are in 2020 and stay.
var masks = []struct {
	of *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`20(2[1-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "<time>"},
	{keyID, "<key id>"},
	{regexp.MustCompile(`cli:[^\s"]+( +<time> UTC)`), "cli:<who>$1"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "<token id>"},
	{regexp.MustCompile(`pl_[0-9A-Za-z]{40,}`), "<key>"},
	{regexp.MustCompile(`plumbline\+[0-9a-f]{8}\+\S{44}`), "<public key>"},
	{regexp.MustCompile(`eyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+`), "<token>"},
	{regexp.MustCompile(`…[0-9A-Za-z]{4}`), "…<end>"},
	{regexp.MustCompile(`<time>([+-]\d\d:\d\d)?Z? \(in [^)]*\)`), "<time> (in <a while>)"},
	// Of an unused limit, it depends on how far its window is.
	{regexp.MustCompile(`\blasts\b|too early to tell|(?:too_early)\b`), "<forecast>"},
	{regexp.MustCompile(`plumbline devel.*`), "plumbline <build>"},
	{regexp.MustCompile(`/\S*/(Test|envoy-)[^/]*/(\d+/)?`), "<dir>/"},
	{regexp.MustCompile(`\[<time>\]\[\d+\]\[critical\]\[main\] \[\S+\] `), ""},
}

var gap = regexp.MustCompile(`(\S) {3,}`)

// mask also closes the gaps between columns, since they are as wide as what was masked.
func mask(s string) string {
	before := s
	for _, m := range masks {
		s = m.of.ReplaceAllString(s, m.by)
	}
	if s != before {
		s = gap.ReplaceAllString(s, "$1  ")
	}
	return s
}

// seedAudit writes a log with one exchange of each kind into a data directory, and changes a record in its file.
func seedAudit(t *testing.T, dir string, tampered bool) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := app.AuditPath(dir)
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records() {
		if err := log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !tampered {
		return
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE entries SET user = 'eve' WHERE id = 2"); err != nil {
		t.Fatal(err)
	}
}

// seedSigned is seedAudit with checkpoints in the log and in a file, both named after dir, of the first three records and of
// all. change is what is done to the log afterwards; in it stand the bytes and the hash of a forged record.
func seedSigned(t *testing.T, dir, change string) {
	t.Helper()
	seedAudit(t, dir, false)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := app.AuditPath(dir)
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Now: time.Now})
	must(err)
	key, _, err := notary.ReadOrMakeKey(filepath.Join(dir, "checkpoint.key"))
	must(err)
	keys, err := chain.ParseKeys(key.Public)
	must(err)
	at := func() time.Time { return time.Date(2020, 5, 4, 10, 0, 0, 0, time.UTC) }
	for _, upTo := range []audit.Position{3, 5} {
		n := notary.New(notary.Options{Log: upToLog{log, upTo}, Signer: key.Signer, Keys: keys, Sink: notary.NewFile(dir+".log", at), Now: at})
		must(n.Finish(t.Context()))
	}
	must(log.Close(t.Context()))
	if change == "" {
		return
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	must(err)
	defer db.Close()
	var writer string
	must(db.QueryRowContext(t.Context(), "SELECT w.name FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE e.id = 3").Scan(&writer))
	forged := records()[2]
	forged.Principal.User = "eve"
	canonical, err := audit.Canonical(forged)
	must(err)
	leaf := audit.LeafHash(canonical, writer, 3)
	if !strings.Contains(change, "?") {
		_, err = db.ExecContext(t.Context(), change)
	} else if _, err = db.ExecContext(t.Context(), change, canonical, leaf[:]); err == nil {
		_, err = db.ExecContext(t.Context(), "UPDATE by_user SET user = 'eve' WHERE entry = 3")
	}
	must(err)
}

// upToLog shows the entries up to a position only.
type upToLog struct {
	*audit.Log
	end audit.Position
}

func (l upToLog) Leaves(ctx context.Context, after, upTo audit.Position, limit int) ([]audit.Leaf, error) {
	return l.Log.Leaves(ctx, after, min(upTo, l.end), limit)
}

// records are an exchange that was allowed, one that was refused, a sum of refusals and a change.
func records() []core.Record {
	at := time.Date(2020, 5, 4, 9, 0, 0, 0, time.UTC)
	ann := core.Principal{User: "ann", Team: "support", App: "helpdesk"}
	charge := &core.Charge{Admitted: at, Requests: 1, InputTokens: 20, OutputTokens: 30, Cost: 33}
	exchange := core.Record{
		Time: at, Exchange: "0171dd5b-0000-7000-8000-000000000001", Principal: ann, Endpoint: "chat.completions", Model: "gpt-4o-mini",
	}
	intent, outcome, deny := exchange, exchange, exchange
	intent.Kind, intent.Reserved, intent.Reason = core.RecordIntent, charge, core.ReasonNone
	intent.Verdict = &core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone}
	outcome.Kind, outcome.Settled, outcome.Time = core.RecordOutcome, charge, at.Add(time.Second)
	outcome.Reason = core.ReasonNone
	outcome.Status, outcome.Finish, outcome.Usage = 200, core.FinishComplete, &core.Usage{InputTokens: 20, OutputTokens: 30}
	deny.Kind, deny.Time, deny.Exchange = core.RecordDeny, at.Add(2*time.Second), "0171dd5b-0000-7000-8000-000000000002"
	deny.Principal, deny.Model = core.Principal{User: "ben", App: "helpdesk"}, "gpt\x1b[2J\nforged"
	deny.Status, deny.Reason = 403, core.ReasonModelNotAllowed
	deny.Verdict = &core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: core.ReasonModelNotAllowed}
	return []core.Record{
		intent, outcome, deny,
		{
			Kind: core.RecordRefusals, Time: at.Add(3 * time.Second), Reason: core.ReasonMissingCredential,
			Refusals: &core.Refusals{Count: 7, First: at, Last: at, Network: "192.0.2.0/24"},
		},
		{
			Kind: core.RecordAdmin, Time: at.Add(4 * time.Second), Exchange: "change-1",
			Admin: &core.Change{Actor: "cli:root", Action: "put", Object: "user/ann"},
		},
	}
}

// Every command says what it does and what its arguments are.
func TestHelp(t *testing.T) {
	var c commands
	parser, err := newParser(&c, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range parser.Model.Leaves(true) {
		path := strings.Fields(n.Path())
		out, talk, code := plumbline(t, nil, append(path, "--help")...)
		if code != exitDone || n.Help == "" || !strings.Contains(out, n.Help[:min(len(n.Help), 40)]) || talk != "" {
			t.Errorf("%s --help: exit status %d, help %q, on standard error %q:\n%s", n.Path(), code, n.Help, talk, out)
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", n.Path(), f.Name)
			}
		}
		for _, a := range n.Positional {
			if a.Help == "" {
				t.Errorf("%s: <%s> has no help", n.Path(), a.Name)
			}
		}
	}
}

// A secret is shown once, on standard output alone, and no file holds it.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) (out, talk string) {
		t.Helper()
		out, talk, code := plumbline(t, []string{"PLUMBLINE_DATA_DIR=" + dir}, args...)
		if code != exitDone {
			t.Fatalf("%v: exit status %d: %s", args, code, talk)
		}
		return out, talk
	}
	run("app", "put", "helpdesk")
	var secrets []string
	for _, args := range [][]string{{"key", "create", "--app", "helpdesk"}, {"token", "issue", "--app", "helpdesk"}} {
		plain, talk := run(args...)
		secrets = append(secrets, strings.TrimSpace(plain))
		if len(plain) < 40 || strings.Contains(talk, strings.TrimSpace(plain)) {
			t.Errorf("%v: standard output %q, standard error %q", args, plain, talk)
		}
		object, talk := run(append(args, "-o", "json")...)
		var made credential
		if err := json.Unmarshal([]byte(object), &made); err != nil {
			t.Fatalf("%v: %v in %s", args, err, object)
		}
		if !strings.Contains(talk, made.ID) || strings.Contains(talk, made.Secret) || made.Expires.Before(time.Now()) {
			t.Errorf("%v -o json: %s\nstandard error: %s", args, object, talk)
		}
		secrets = append(secrets, made.Secret)
	}
	for _, format := range []string{"table", "json", "yaml"} {
		list, _ := run("key", "list", "-o", format)
		for _, secret := range secrets {
			if strings.Contains(list, secret) {
				t.Errorf("key list -o %s shows %s", format, secret)
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		data, _ := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %s", path, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// lines hands on what is written, line by line.
type lines struct {
	rest []byte
	to   chan string
}

func (l *lines) Write(data []byte) (int, error) {
	l.rest = append(l.rest, data...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(data), nil
		}
		l.rest = rest
		l.to <- string(line)
	}
}

// next gives a line, or fails the test when none comes.
func (l *lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l.to:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("nothing more was written")
		return ""
	}
}

// tail shows what is written after it began, in the form that was asked for, and ends well when it is told to.
func TestTail(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string // what each line holds
	}{
		{"table", nil, []string{"TIME", "intent", "complete", `"gpt\x1b[2J\nforged"`, "missing_credential", "admin"}},
		{"JSON lines", []string{"-o", "json"}, []string{`"kind":"intent"`, `"kind":"outcome"`, `"kind":"deny"`, `"kind":"refusals"`, `"kind":"admin"`}},
		{"only refused", []string{"-o", "json", "--verdict", "block"}, []string{`"kind":"deny"`}},
		{"YAML documents", []string{"-o", "yaml"}, []string{"---", "kind: intent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			log, err := audit.Open(t.Context(), audit.Options{Path: app.AuditPath(dir), Durability: audit.CrashSafe, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close(context.WithoutCancel(t.Context()))
			early := records()[0]
			early.Exchange = "0171dd5b-0000-7000-8000-000000000000"
			if err := log.Append(t.Context(), early); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out, talk := &lines{to: make(chan string, 1000)}, &lines{to: make(chan string, 1000)}
			ended := make(chan int, 1)
			go func() {
				ended <- Main(ctx, append([]string{"tail"}, tt.args...), []string{"PLUMBLINE_DATA_DIR=" + dir}, strings.NewReader(""), out, talk)
			}()
			talk.next(t)
			for _, r := range records() {
				if err := log.Append(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range tt.want {
				if line := out.next(t); !strings.Contains(line, want) || strings.Contains(line, early.Exchange) {
					t.Errorf("want a line with %q, got %s", want, line)
				}
			}
			stop()
			if code := <-ended; code != exitDone || len(talk.to) > 0 {
				t.Errorf("exit status %d, and %d lines on standard error", code, len(talk.to))
			}
		})
	}
}

// A configuration that is wrong is refused before anything is opened, with every problem at once.
func TestServeRefusesABadConfiguration(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "plumbline.yaml")
	if err := os.WriteFile(file, []byte("log: {level: loud}\nshutdown: {grace: soon}\nprovidr: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, talk, code := plumbline(t, []string{"PLUMBLINE_DATA_DIR=" + dir, "PLUMBLINE_OPS_LISTEN=here"}, "serve", "-c", file)
	if code != exitUsage || out != "" {
		t.Errorf("exit status %d, standard output %q", code, out)
	}
	for _, problem := range []string{"log.level", "shutdown.grace", "providr", "PLUMBLINE_OPS_LISTEN"} {
		if !strings.Contains(talk, problem) {
			t.Errorf("it does not name %s:\n%s", problem, talk)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data directory was made")
	}
}
