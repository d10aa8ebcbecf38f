package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
)

type checkCmd struct {
	Conf   checkConfigCmd `cmd:"" name:"config" help:"Check the configuration: file, environment and flags."`
	Policy checkPolicyCmd `cmd:"" help:"Check a policy document."`
	Envoy  checkEnvoyCmd  `cmd:"" help:"Have Envoy itself check a configuration."`
	Limits checkLimitsCmd `cmd:"" help:"Find limits that can have no effect."`
	Keys   checkKeysCmd   `cmd:"" name:"jwks" help:"Fetch the keys of trusted issuers, and say what each is worth."`
}

type checkConfigCmd struct{}

func (checkConfigCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return s.problems(err)
	}
	_, policyErr := app.LoadPolicy(cfg.Policy.File)
	_, pricesErr := app.LoadPrices(cfg.Prices)
	_, meshErr := app.LoadMesh(cfg.Identity.Mesh)
	if err := errors.Join(policyErr, pricesErr, app.CheckIssuers(cfg.Identity), meshErr, app.CheckKeyFiles(cfg.Audit)); err != nil {
		return s.problems(err)
	}
	return s.say(findings{[]string{}}, "the configuration is good")
}

type checkPolicyCmd struct {
	File string `arg:"" type:"existingfile" help:"The policy document."`
}

func (c checkPolicyCmd) Run(s *session) error {
	rules, err := app.LoadPolicy(c.File)
	if err != nil {
		return s.problems(err)
	}
	return s.say(checkedPolicy{rules.Version(), string(rules.Mode())}, "the policy is good: version %s, mode %s", rules.Version(), rules.Mode())
}

// checkedPolicy says which policy was found to be good.
type checkedPolicy struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`
}

type checkEnvoyCmd struct {
	File  string `arg:"" type:"existingfile" help:"The Envoy configuration."`
	Envoy string `help:"Envoy's path." placeholder:"FILE"`
}

func (c checkEnvoyCmd) Run(s *session) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	binary, err := envoyproc.Find(s.envoyPath(c.Envoy), toolsDir)
	if err != nil {
		return err
	}
	if err := envoyproc.Validate(s.ctx, binary, data); err != nil {
		return s.problems(err)
	}
	return s.say(findings{[]string{}}, "Envoy takes the configuration")
}

// findings is what a check found, for a program.
type findings struct {
	Problems []string `json:"problems"`
}

// problems prints what a check found, as data, and says so by the exit status.
func (s *session) problems(err error) error {
	if printErr := s.say(findings{strings.Split(err.Error(), "\n")}, "%v", err); printErr != nil {
		return printErr
	}
	return errProblems
}

// toolsDir is where make keeps what it fetched.
const toolsDir = ".tools"

// envoyPath is the Envoy that was named by a flag, else by the variable that is Envoy's own custom, not a setting.
func (s *session) envoyPath(flag string) string {
	if flag != "" {
		return flag
	}
	path, _ := s.variable("ENVOY")
	return path
}

type envoyCmd struct {
	Standalone standaloneCmd `cmd:"" help:"Print the configuration of one Envoy before one provider."`
	Gateway    gatewayCmd    `cmd:"" help:"Print that of an Envoy whose callers prove who they are by certificates of a mesh."`
	Sidecar    sidecarCmd    `cmd:"" help:"Print that of an Envoy beside one program, which Plumbline is to know by its mesh identity."`
}

// envoyFlags are those of every Envoy configuration.
type envoyFlags struct {
	Listen   string `help:"Address for callers." default:"${listen}"`
	Upstream string `help:"The provider." default:"${upstream}"`
	Socket   string `help:"Plumbline's socket. Default: that of the configuration." placeholder:"FILE" type:"path"`
	KeyFile  string `help:"Have Envoy put the provider key in this file into requests." placeholder:"FILE" type:"path"`
}

// print renders a configuration. more adds what only one kind has.
func (f envoyFlags) print(s *session, render func(envoyconf.Options) ([]byte, error), more func(*envoyconf.Options)) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	socket := f.Socket
	if socket == "" { // Envoy may start elsewhere
		if socket, err = filepath.Abs(cfg.ExtProc.Socket); err != nil {
			return err
		}
	}
	o := envoyconf.Options{
		Listen: f.Listen, Upstream: f.Upstream, Socket: socket, ProviderKeyFile: f.KeyFile,
		MessageTimeout: cfg.ExtProc.MessageTimeout, BodyLimit: int64(cfg.ExtProc.MaxBody),
	}
	more(&o)
	data, err := render(o)
	if err != nil {
		return configError{err}
	}
	_, err = s.out.Write(data)
	return err
}

type standaloneCmd struct{ envoyFlags }

func (c standaloneCmd) Run(s *session) error {
	return c.print(s, envoyconf.Standalone, func(*envoyconf.Options) {})
}

type gatewayCmd struct {
	envoyFlags
	Cert        string `help:"The listener's certificate and chain, in PEM." required:"" placeholder:"FILE" type:"path"`
	Key         string `help:"Its private key." required:"" placeholder:"FILE" type:"path"`
	ClientCA    string `help:"The certificate authorities of the trust domain." required:"" placeholder:"FILE" type:"path"`
	TrustDomain string `help:"The trust domain whose workloads may connect, e.g. prod.example.com." required:""`
}

func (c gatewayCmd) Run(s *session) error {
	return c.print(s, envoyconf.Gateway, func(o *envoyconf.Options) {
		o.Clients = envoyconf.Clients{Certificate: c.Cert, Key: c.Key, Authorities: c.ClientCA, TrustDomain: c.TrustDomain}
	})
}

type sidecarCmd struct {
	envoyFlags
	Workload string `help:"The program's SPIFFE id, e.g. spiffe://prod.example.com/ns/chat/sa/web." required:""`
}

func (c sidecarCmd) Run(s *session) error {
	return c.print(s, envoyconf.Sidecar, func(o *envoyconf.Options) { o.Workload = c.Workload })
}
