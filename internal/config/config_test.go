package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the reference page")

// files is a ReadFile over a map.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	data, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(data), nil
}

// sameConfig compares configurations, secrets by value.
var sameConfig = cmp.Comparer(func(a, b config.Secret) bool { return a.Reveal() == b.Reveal() })

func TestDefaultsAreValid(t *testing.T) {
	got, origins, err := config.Load(config.LoadOptions{Env: []string{"HOME=/root", "PATH="}})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.ExtProc.Socket = filepath.Join("plumbline-data", "plumbline.sock")
	want.Deviation.Models = filepath.Join("plumbline-data", "models")
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Error(diff)
	}
	for _, s := range got.Settings() {
		if origins[s.Name] != (config.Origin{Source: config.SourceDefault}) {
			t.Errorf("%s comes from %+v", s.Name, origins[s.Name])
		}
	}
}

func TestPrecedence(t *testing.T) {
	o := config.LoadOptions{
		Path: "plumbline.yaml",
		Env: []string{
			"PLUMBLINE_LOG_LEVEL=debug", "PLUMBLINE_EXTPROC_MAX_BODY=1MiB", "PLUMBLINE_OPS_LISTEN=127.0.0.1:2",
			"PLUMBLINE_CONFIG=ignored.yaml", "PLUMBLINE_SERVICE_HOST=10.0.0.1", "PLUMBLINE_PORT=tcp://10.0.0.1:80",
			"PLUMBLINE_PORT_80_TCP_ADDR=10.0.0.1", "PLUMBLINE_OPS_SERVICE_PORT_HTTP=80", "PLUMBLINE_OPS_PORT=tcp://10.0.0.1:80",
		},
		Flags:    map[string]string{"ops.listen": "127.0.0.1:3"},
		ReadFile: files{"plumbline.yaml": "log:\n  level: warn\nshutdown: {grace: 1h}\nops:\n  listen: 127.0.0.1:1\n"}.read,
	}
	c, origins, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Level != "debug" || c.ExtProc.MaxBody != 1<<20 || c.Ops.Listen != "127.0.0.1:3" || c.Shutdown.Grace != time.Hour {
		t.Errorf("%+v", c)
	}
	for setting, want := range map[string]config.Origin{
		"log.format":       {Source: config.SourceDefault},
		"shutdown.grace":   {Source: config.SourceFile, Name: "plumbline.yaml:3:19"},
		"log.level":        {Source: config.SourceEnv, Name: "PLUMBLINE_LOG_LEVEL"},
		"extproc.max_body": {Source: config.SourceEnv, Name: "PLUMBLINE_EXTPROC_MAX_BODY"},
		"ops.listen":       {Source: config.SourceFlag, Name: "flag ops.listen"},
	} {
		if origins[setting] != want {
			t.Errorf("%s: got %+v, want %+v", setting, origins[setting], want)
		}
	}
}

// TestIssuers reads the shortest entry and the longest.
func TestIssuers(t *testing.T) {
	const file = `identity:
  max_lifetime: 8h
  issuers:
    - {issuer: "https://a.test", audiences: [p], jwks_url: "https://a.test/keys"}
    - issuer: https://b.test/
      audiences: [p, q]
      jwks_file: keys.json
      algorithms: [PS512]
      types: [at+jwt]
      max_lifetime: 10m
      user: {claim: email, lowercase: true}
      app: {claim: azp, prefix: "corp-"}
      team: {claim: /realm_access/groups, map: {"/support": support}}
      roles: {claim: roles, require: [llm]}
      task: {claim: task}
      create: teams-and-users
`
	c, origins, err := config.Load(config.LoadOptions{Path: "a.yaml", ReadFile: files{"a.yaml": file}.read})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Issuer{
		{
			Issuer: "https://a.test", Audiences: []string{"p"}, JWKSURL: "https://a.test/keys",
			Algorithms: []config.Algorithm{"RS256", "ES256", "EdDSA"}, Types: []string{"", "JWT", "at+jwt"},
			MaxLifetime: 8 * time.Hour, User: config.Claim{Claim: "sub"}, Create: config.CreateNone,
		},
		{
			Issuer: "https://b.test/", Audiences: []string{"p", "q"}, JWKSFile: "keys.json",
			Algorithms: []config.Algorithm{"PS512"}, Types: []string{"at+jwt"}, MaxLifetime: 10 * time.Minute,
			User: config.Claim{Claim: "email", Lowercase: true}, App: config.Claim{Claim: "azp", Prefix: "corp-"},
			Team:  config.TeamClaim{Claim: "/realm_access/groups", Map: map[string]string{"/support": "support"}},
			Roles: config.RolesClaim{Claim: "roles", Require: []string{"llm"}}, Task: config.Claim{Claim: "task"},
			Create: config.CreateTeams,
		},
	}
	if diff := cmp.Diff(want, c.Identity.Issuers); diff != "" {
		t.Error(diff)
	}
	if at := origins["identity.issuers"]; at.Name != "a.yaml:4:5" {
		t.Errorf("the entries come from %+v", at)
	}
	for _, s := range c.Settings() {
		if s.Name == "identity.issuers" && s.Value != "2 in the file" {
			t.Errorf("the entries are shown as %q", s.Value)
		}
	}
}

func TestFileNamedByTheEnvironment(t *testing.T) {
	o := config.LoadOptions{Env: []string{"PLUMBLINE_CONFIG=a.yaml"}, ReadFile: files{"a.yaml": "data_dir: /srv"}.read}
	c, _, err := config.Load(o)
	if err != nil || c.ExtProc.Socket != "/srv/plumbline.sock" {
		t.Errorf("socket %q, %v", c.ExtProc.Socket, err)
	}
	o.ReadFile = files{}.read
	if _, _, err := config.Load(o); err == nil || !strings.Contains(err.Error(), "a.yaml") {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestSecretsFromEveryPlace(t *testing.T) {
	disk := files{
		"/run/key": "sk-1\n", "key.yaml": "provider: {key: sk-2, inject_key: true}",
		"path.yaml": "provider: {key: 'file:/run/key', inject_key: true}",
	}
	inject := "PLUMBLINE_PROVIDER_INJECT_KEY=true"
	for name, c := range map[string]struct {
		o    config.LoadOptions
		want string
	}{
		"file":          {config.LoadOptions{Path: "key.yaml"}, "sk-2"},
		"file, path":    {config.LoadOptions{Path: "path.yaml"}, "sk-1"},
		"variable":      {config.LoadOptions{Env: []string{inject, "PLUMBLINE_PROVIDER_KEY=sk-3"}}, "sk-3"},
		"variable path": {config.LoadOptions{Env: []string{inject, "PLUMBLINE_PROVIDER_KEY_FILE=/run/key"}}, "sk-1"},
		"flag": {
			config.LoadOptions{Path: "key.yaml", Flags: map[string]string{"provider.key": "file:/run/key"}},
			"sk-1",
		},
	} {
		c.o.ReadFile = disk.read
		got, _, err := config.Load(c.o)
		if err != nil || got.Provider.Key.Reveal() != c.want {
			t.Errorf("%s: %q, %v", name, got.Provider.Key.Reveal(), err)
		}
	}
}

// TestProblems checks that all problems are reported, with their places and without secrets.
func TestProblems(t *testing.T) {
	const secret = "sk-secret"
	disk := files{
		"empty": "\n", "unused.yaml": "provider:\n  key: " + secret + "\n",
		"plain.yaml": `identity: {issuers: [{issuer: i, audiences: [a], jwks_url: "http://a.test/keys"}]}`,
		"issuers.yaml": `identity:
  issuers:
    - issuer: ""
    - issuer: plumbline
      audiences: [""]
      jwks_url: https://user:` + secret + `@a.test/keys
      algorithms: [HS256]
      max_lifetime: -1s
      team: {map: {a: b}}
      roles: {require: [a]}
      app: {prefix: a}
      create: teams-and-users
    - issuer: plumbline
      audiences: [a]
      ca_file: ca.pem
      jwks_file: keys.json
      secret: ` + secret + `
      types: []
      create: users
      app: {claim: azp}
`,
		"bad.yaml": `data_dir: ""
extprok: {}
extproc:
  socket_mode: 0666
  message_timeout: 100ms
  max_body: 5MB
  max_body_in_flight: 1KiB
  cut_grace: -1s
  cut_grace_bytes: -1
ops: {listen: "9464"}
identity:
  issuer: ""
  audience: ""
  max_lifetime: 0s
  leeway: 31s
  authn: no
provider: {key: ` + secret + ` x, inject_key: true}
prices: {unknown_input: 5}
shutdown: {grace: 0s}
log: {level: verbose}
postgres: {url: ` + secret + `, max_connections: 0, timeout: 1h}
feed: {max_staleness: 500ms}
`,
	}
	for name, c := range map[string]struct {
		o    config.LoadOptions
		want string
	}{
		"everything in a file": {config.LoadOptions{Path: "bad.yaml"}, `
bad.yaml:1:11: data_dir: must name a directory
bad.yaml:2:1: unknown key "extprok"; did you mean "extproc"?
bad.yaml:4:16: extproc.socket_mode: must be 0600 for the owner at least, and nothing for others
bad.yaml:5:20: extproc.message_timeout: must be at least 500ms
bad.yaml:6:13: extproc.max_body: must be a size, like 4MiB
bad.yaml:7:23: extproc.max_body_in_flight: must not be below extproc.max_body
bad.yaml:8:14: extproc.cut_grace: must not be negative
bad.yaml:9:20: extproc.cut_grace_bytes: must not be negative
bad.yaml:10:15: ops.listen: must be host:port
bad.yaml:12:11: identity.issuer: must not be empty
bad.yaml:13:13: identity.audience: must not be empty
bad.yaml:14:17: identity.max_lifetime: must be positive
bad.yaml:15:11: identity.leeway: must be from 0 to 30s
bad.yaml:16:10: identity.authn: "no" is not one of required, none
bad.yaml:17:17: provider.key: must be printable ASCII without spaces, as it goes into a header
bad.yaml:18:25: prices.unknown_input: set prices.unknown_input and prices.unknown_output, or neither: nothing is free
bad.yaml:19:19: shutdown.grace: must be positive
bad.yaml:20:14: log.level: "verbose" is not one of debug, info, warn, error
bad.yaml:21:17: postgres.url: must be a connection string, such as postgres://plumbline:password@db.internal/plumbline
bad.yaml:21:45: postgres.max_connections: must be from 1 to 100
bad.yaml:21:57: postgres.timeout: must be from 100ms to 5m
bad.yaml:22:23: feed.max_staleness: must be from 2s to 1h`},
		"issuers": {config.LoadOptions{Path: "issuers.yaml"}, `
issuers.yaml:3:7: identity.issuers[0].audiences: must name an audience, and none that is empty
issuers.yaml:3:7: identity.issuers[0].jwks_url: set jwks_url or jwks_file, one of them
issuers.yaml:3:15: identity.issuers[0].issuer: must not be empty
issuers.yaml:4:15: identity.issuers[1].issuer: is there twice; identity.issuer counts too
issuers.yaml:5:18: identity.issuers[1].audiences: must name an audience, and none that is empty
issuers.yaml:6:17: identity.issuers[1].jwks_url: must begin with https:// and name a host, and hold no user, password or fragment
issuers.yaml:7:20: identity.issuers[1].algorithms[0]: "HS256" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA; did you mean "RS256"?
issuers.yaml:8:21: identity.issuers[1].max_lifetime: must be positive
issuers.yaml:9:13: identity.issuers[1].team.claim: a map is given, but no claim
issuers.yaml:10:14: identity.issuers[1].roles.claim: set roles.claim and roles.require, or neither
issuers.yaml:11:12: identity.issuers[1].app.claim: a prefix is given, but no claim
issuers.yaml:12:15: identity.issuers[1].create: teams are created, but team.claim does not say which
issuers.yaml:13:15: identity.issuers[2].issuer: is there twice; identity.issuer counts too
issuers.yaml:16:18: identity.issuers[2].jwks_file: ca_file and allow_private_addresses are for jwks_url
issuers.yaml:17:7: identity.issuers[2]: unknown key "secret"
issuers.yaml:18:14: identity.issuers[2].types: must name one
issuers.yaml:19:15: identity.issuers[2].create: people are created, but user.claim does not say who`},
		"issuers over plain HTTP": {
			config.LoadOptions{Path: "plain.yaml"},
			`plain.yaml:1:60: identity.issuers[0].jwks_url: must begin with https:// and name a host, and hold no user, password or fragment`,
		},
		"issuers from elsewhere": {
			config.LoadOptions{Env: []string{"PLUMBLINE_IDENTITY_ISSUERS=https://a.test"}},
			`PLUMBLINE_IDENTITY_ISSUERS: cannot be set from text`,
		},
		"unknown variables and flags": {config.LoadOptions{
			Env:   []string{"PLUMBLINE_LOG_LEEVL=" + secret, "PLUMBLINE_OPS_PORT=80", "PLUMBLINE_CONFIGS=a"},
			Flags: map[string]string{"log.lvel": secret, "x": "y"},
		}, `
PLUMBLINE_CONFIGS: unknown setting; did you mean PLUMBLINE_CONFIG?
PLUMBLINE_LOG_LEEVL: unknown setting; did you mean PLUMBLINE_LOG_LEVEL?
PLUMBLINE_OPS_PORT: unknown setting
flag log.lvel: unknown setting; did you mean "log.level"?
flag x: unknown setting`},
		"variables": {
			config.LoadOptions{Env: []string{
				"PLUMBLINE_SHUTDOWN_GRACE=600", "PLUMBLINE_EXTPROC_INSECURE_TCP=yes", "PLUMBLINE_PROVIDER_KEY=" + secret,
			}}, `
PLUMBLINE_EXTPROC_INSECURE_TCP: must be true or false
PLUMBLINE_SHUTDOWN_GRACE: must be a duration with its unit, like 30s
PLUMBLINE_PROVIDER_KEY: is set, but without provider.inject_key nothing would use it`,
		},
		"a key that nothing uses": {
			config.LoadOptions{Path: "unused.yaml"},
			`unused.yaml:2:8: provider.key: is set, but without provider.inject_key nothing would use it`,
		},
		"a secret for a path": {
			config.LoadOptions{Env: []string{"PLUMBLINE_PROVIDER_KEY_FILE=" + secret}},
			`PLUMBLINE_PROVIDER_KEY_FILE: the secret's file cannot be read: file does not exist`,
		},
		"an empty secret": {config.LoadOptions{Flags: map[string]string{"provider.key": "file:empty", "provider.inject_key": "true"}}, `
flag provider.key: the secret's file is empty
flag provider.inject_key: needs provider.key`},
		"a secret twice": {config.LoadOptions{Env: []string{"PLUMBLINE_PROVIDER_KEY=" + secret, "PLUMBLINE_PROVIDER_KEY_FILE=empty"}}, `
PLUMBLINE_PROVIDER_KEY_FILE: PLUMBLINE_PROVIDER_KEY is given as well
PLUMBLINE_PROVIDER_KEY_FILE: the secret's file is empty`},
		"a secret in a flag": {
			config.LoadOptions{Flags: map[string]string{"provider.key": secret, "provider.inject_key": "true"}},
			`flag provider.key: a secret is not given on the command line; write file: and the path of a file that holds it`,
		},
		"TCP": {
			config.LoadOptions{Flags: map[string]string{"extproc.listen": "127.0.0.1:1"}},
			`flag extproc.listen: TCP without mTLS needs extproc.insecure_tcp`,
		},
		"TCP from elsewhere": {
			config.LoadOptions{Flags: map[string]string{"extproc.listen": ":1", "extproc.insecure_tcp": "true"}},
			`flag extproc.listen: TCP without mTLS is for loopback addresses only`,
		},
		"TCP and a socket": {
			config.LoadOptions{Flags: map[string]string{"extproc.listen": "[::1]:1", "extproc.insecure_tcp": "true", "extproc.socket": "s"}},
			`flag extproc.listen: set extproc.socket or extproc.listen, not both`,
		},
		"one address for two": {
			config.LoadOptions{Flags: map[string]string{"extproc.listen": "[::1]:1", "extproc.insecure_tcp": "true", "ops.listen": "[::1]:1"}},
			`flag ops.listen: must not be the address of extproc.listen`,
		},
		"a long path": {
			config.LoadOptions{Flags: map[string]string{"data_dir": strings.Repeat("d", 90)}},
			`extproc.socket: a socket's path has at most 104 bytes, this one has 105; set extproc.socket or a shorter data_dir`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.ReadFile = disk.read
			_, _, err := config.Load(c.o)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(strings.TrimSpace(c.want), err.Error()); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("a secret is shown")
			}
		})
	}
}

func TestLoopbackTCPIsAccepted(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:9001", "localhost:9001"} {
		c, _, err := config.Load(config.LoadOptions{Flags: map[string]string{"extproc.listen": address, "extproc.insecure_tcp": "true"}})
		if err != nil || c.ExtProc.Socket != "" {
			t.Errorf("%s: socket %q, %v", address, c.ExtProc.Socket, err)
		}
	}
}

func TestSecretCannotPrint(t *testing.T) {
	const value = "sk-secret"
	s := config.NewSecret(value)
	if s.Reveal() != value || s.IsZero() || !config.NewSecret("").IsZero() {
		t.Error("the secret does not hold its value")
	}
	hidden := struct{ key config.Secret }{s}
	c := config.Default()
	c.Provider.Key = s
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3s"} {
		fmt.Fprintf(&shown, verb+verb+verb+verb+verb, s, &s, hidden, c, []any{s})
	}
	fmt.Fprint(&shown, s, s.String(), s.GoString(), fmt.Errorf("x: %v", s))
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&shown, nil)), slog.New(slog.NewJSONHandler(&shown, nil))} {
		log.Info("x", "s", s, "p", &s, "h", hidden, "c", c)
	}
	if err := json.NewEncoder(&shown).Encode(map[string]any{"s": s, "c": c}); err != nil {
		t.Error(err)
	}
	for _, setting := range c.Settings() {
		fmt.Fprint(&shown, setting)
	}
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), "115 107 45 115"} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("%q is shown", form)
		}
	}
	if !strings.Contains(shown.String(), "[secret]") {
		t.Error("nothing says that there is a secret")
	}
}

func TestTypesRoundTrip(t *testing.T) {
	for text, want := range map[string]config.Bytes{"0": 0, "1": 1, "1KiB": 1024, "1536B": 1536, "3GiB": 3 << 30, "-1MiB": -1 << 20} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d, %v", text, b, err)
		}
		written, _ := b.MarshalText()
		var again config.Bytes
		if err := again.UnmarshalText(written); err != nil || again != b {
			t.Errorf("%s is written %s", text, written)
		}
	}
	for _, text := range []string{"", "MiB", "1MB", "1 MiB", "1.5MiB", "9223372036854775807KiB", "9007199254740993GiB"} {
		if err := new(config.Bytes).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q is accepted", text)
		}
	}
	for text, want := range map[string]config.FileMode{"0660": 0o660, "660": 0o660, "0o600": 0o600, "0": 0} {
		var m config.FileMode
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%s: %o, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "rw", "0888", "01777", "-1"} {
		if err := new(config.FileMode).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("mode %q is accepted", text)
		}
	}
}

func TestReference(t *testing.T) {
	const page = "../../docs/reference/configuration.md"
	testkit.Golden(t, page, config.Reference(), *update, "run with -update")
	for _, s := range config.Default().Settings() {
		if s.Doc == "" {
			t.Errorf("%s has no description", s.Name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("log: {level: warn}"), "EXTPROC_MAX_BODY=1MiB", "ops.listen", ":1")
	f.Fuzz(func(t *testing.T, file []byte, env, flag, value string) {
		o := config.LoadOptions{
			Path: "a.yaml", Env: []string{"PLUMBLINE_" + env}, Flags: map[string]string{flag: value},
			ReadFile: files{"a.yaml": string(file)}.read,
		}
		c, origins, err := config.Load(o)
		if err != nil {
			return
		}
		for _, s := range c.Settings() {
			if _, ok := origins[s.Name]; !ok {
				t.Fatalf("%s has no origin", s.Name)
			}
		}
	})
}

// property is a part of a JSON Schema.
type property struct {
	Description string
	Type        string
	Default     any
	Properties  map[string]*property
}

func TestSchemaIsStrict(t *testing.T) {
	b, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		AdditionalProperties *bool
		Required             []string
		Properties           map[string]*property
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.AdditionalProperties == nil || *s.AdditionalProperties || len(s.Required) > 0 {
		t.Error("the schema allows keys that do not exist, or asks for some")
	}
	for _, setting := range config.Default().Settings() {
		at := &property{Properties: s.Properties}
		for name := range strings.SplitSeq(setting.Name, ".") {
			if at = at.Properties[name]; at == nil {
				t.Fatalf("the schema has no %s", setting.Name)
			}
		}
		if at.Description != setting.Doc {
			t.Errorf("%s is described %q", setting.Name, at.Description)
		}
	}
	if timeout := s.Properties["extproc"].Properties["message_timeout"]; timeout.Type != "string" || timeout.Default != "2s" {
		t.Errorf("message_timeout: %+v", timeout)
	}
}
