// Package cli is the command line: it reads arguments, calls the part that does the work, and prints what it gives.
//
// Data goes to stdout, talk to stderr. Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check found
// problems. No secret is taken from an argument. It is the only package that knows the command-line library.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Exit statuses.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitProblems = 3
)

// errProblems says that a check ran and found problems, which it has printed.
var errProblems = errors.New("problems found")

// configError is a wrong configuration, as opposed to a failure.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// commands is the command tree. Groups that act on one kind of object share one shape; see objects.go.
type commands struct {
	Config string            `help:"Configuration file (also PLUMBLINE_CONFIG)." short:"c" placeholder:"FILE"`
	Set    map[string]string `help:"Set one setting, e.g. --set log.level=debug." placeholder:"KEY=VALUE" mapsep:"none"`
	Output string            `help:"Form of the output: table, json or yaml." short:"o" enum:"table,json,yaml" default:"table" placeholder:"FORM"`

	Serve  serveCmd      `cmd:"" help:"Govern traffic until stopped."`
	Demo   demoCmd       `cmd:"" help:"Start Envoy, Plumbline and a stand-in provider, and run a tour."`
	Check  checkCmd      `cmd:"" help:"Check the configuration, a policy, limits, an Envoy configuration or the keys of issuers."`
	Migr   migrateCmd    `cmd:"" name:"migrate" help:"Bring the schemas in Postgres up to date."`
	Conf   confCmd       `cmd:"" name:"config" help:"Show the configuration."`
	Envoy  envoyCmd      `cmd:"" name:"envoy-config" help:"Print an Envoy configuration."`
	Apply  applyCmd      `cmd:"" help:"Create or replace the objects of a file, all or none."`
	User   userCmd       `cmd:"" help:"People whose traffic is governed." set:"kind=person"`
	Team   teamCmd       `cmd:"" help:"Teams of people." set:"kind=team"`
	App    appCmd        `cmd:"" help:"Programs that call the provider." set:"kind=app"`
	Task   taskCmd       `cmd:"" help:"Work that people are assigned." set:"kind=task"`
	Limit  limitCmd      `cmd:"" help:"Limits on requests, tokens, cost and concurrency." set:"kind=limit"`
	Quota  quotaCmd      `cmd:"" help:"The ledger that limits are counted in."`
	Key    keyCmd        `cmd:"" help:"App keys (pl_…)."`
	Token  tokenCmd      `cmd:"" help:"Signed tokens: Plumbline's own, and what would be made of any."`
	Sign   signingKeyCmd `cmd:"" name:"signing-key" help:"The keys that sign Plumbline's tokens."`
	Prices pricesCmd     `cmd:"" help:"Price tables."`
	Judge  judgeCmd      `cmd:"" name:"classify" help:"Show the intent of a prompt, and how far it is from tasks."`
	Eval   evalCmd       `cmd:"" name:"eval" help:"Measure judgement on labelled prompts."`
	Label  labelCmd      `cmd:"" help:"Labels of prompts that were drawn for calibration."`
	Calib  calibCmd      `cmd:"" name:"calibration" help:"What backs the promise about wrongly blocked prompts."`
	Model  modelCmd      `cmd:"" help:"Embedding tables that deviation compares by: side by side, adapted to your traffic."`
	Policy policyCmd     `cmd:"" help:"Write a policy, test it, try it on recorded traffic."`
	Audit  auditCmd      `cmd:"" help:"Search and verify the audit."`
	Tail   tailCmd       `cmd:"" help:"Follow the audit live."`
	Jobs   jobsCmd       `cmd:"" help:"Background jobs."`
	Simul  simulateCmd   `cmd:"" name:"simulate" help:"Try things on made-up traffic, in virtual time."`
	Banner versionCmd    `cmd:"" name:"version" help:"Print the version."`
}

// Main runs the command line args and gives the exit status. It is the whole program.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c commands
	if len(args) == 0 { // somebody who wants to know what there is
		Main(ctx, []string{"--help"}, env, stdin, stderr, stderr)
		return exitUsage
	}
	exited := -1
	parser, err := newParser(&c, stdout, stderr, func(code int) { exited = code })
	if err != nil {
		fmt.Fprintln(stderr, "plumbline:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "plumbline: %v\nRun %s --help.\n", err, commandOf(err))
		return exitUsage
	}
	s := &session{ctx: ctx, env: env, flags: &c, in: stdin, out: stdout, talk: stderr}
	return s.status(parsed.Run(s))
}

// commandOf names the command that a wrong command line went as far as.
func commandOf(err error) string {
	name := "plumbline"
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		for _, p := range wrong.Context.Path {
			if p.Command != nil {
				name += " " + p.Command.Name
			}
		}
	}
	return name
}

// newParser gives the parser of the command tree. It calls exit after it has printed help.
func newParser(c *commands, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("plumbline"),
		kong.Description("Governs LLM traffic beside Envoy: who asks, how much, what for, and how far from the work they were assigned.\n\n"+
			"Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check found problems."),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"listen": envoyconf.DefaultListen, "upstream": envoyconf.DefaultUpstream, "endpoint": policy.CaseEndpoint},
	)
}

// session is the surroundings of one command.
type session struct {
	ctx   context.Context
	env   []string
	flags *commands
	in    io.Reader
	out   io.Writer // data
	talk  io.Writer // everything else
}

// status prints an error and gives the exit status it stands for.
func (s *session) status(err error) int {
	var wrong configError
	var own exitError
	switch {
	case errors.As(err, &own):
		return int(own)
	case err == nil:
		return exitDone
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.As(err, &wrong):
		fmt.Fprintln(s.talk, "plumbline:", err)
		return exitUsage
	}
	fmt.Fprintln(s.talk, "plumbline:", err)
	return exitFailed
}

// config loads the settings.
func (s *session) config() (config.Config, config.Origins, error) {
	c, origins, err := config.Load(config.LoadOptions{
		Path: s.flags.Config, Env: s.env, Flags: s.flags.Set, ReadFile: os.ReadFile,
	})
	if err != nil {
		return c, origins, configError{err}
	}
	return c, origins, nil
}

// variable reads one of the few variables that are not Plumbline's own settings.
func (s *session) variable(name string) (string, bool) {
	for _, v := range s.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// version describes the running build from what the Go tool stamped into it.
func version() telemetry.Build {
	b := telemetry.Build{Version: "devel", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

type versionCmd struct{}

func (versionCmd) Run(s *session) error {
	b := version()
	return s.say(b, "%s", strings.Join(strings.Fields("plumbline "+b.Version+" "+b.Revision+" "+b.GoVersion), " "))
}
