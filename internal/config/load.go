package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

const (
	envPrefix = "PLUMBLINE_"
	envFile   = "PLUMBLINE_CONFIG" // names the configuration file; not a setting
	// filePrefix marks a secret's value as the path of a file that holds it.
	filePrefix = "file:"
)

// LoadOptions are the surroundings that settings come from.
type LoadOptions struct {
	// Path is the configuration file. Empty: the one that PLUMBLINE_CONFIG names, or none.
	Path string
	// Env is the environment as os.Environ gives it.
	Env []string
	// Flags maps settings ("extproc.socket") to values given on the command line. A secret must be given as a file.
	Flags map[string]string
	// ReadFile reads the configuration file and secrets; os.ReadFile in the program.
	ReadFile func(name string) ([]byte, error)
}

// Source is one of the places that settings come from.
type Source string

// The sources, from weak to strong.
const (
	SourceDefault Source = "default"
	SourceFile    Source = "file"
	SourceEnv     Source = "env"
	SourceFlag    Source = "flag"
)

// Origin says where a value came from.
type Origin struct {
	Source Source `json:"source"`
	// Name is the file with line and column, the environment variable or the flag; empty for a default.
	Name string `json:"name,omitempty"`
}

// Origins maps each setting ("extproc.socket") to where its value came from.
type Origins map[string]Origin

// Load gathers every setting and checks all of them. An error holds every problem, one a line, with the place it is in;
// no line quotes a value that may be secret.
func Load(o LoadOptions) (Config, Origins, error) {
	l := &loader{o: o, config: Default(), origins: Origins{}, env: map[string]string{}}
	l.fields = yamldoc.Fields(&l.config)
	for _, f := range l.fields {
		l.origins[f.Path] = Origin{Source: SourceDefault}
	}
	for _, entry := range o.Env {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			l.env[name] = value
		}
	}
	l.fromFile()
	l.fromEnv()
	l.fromFlags()
	l.readSecrets()
	l.config.derive()
	l.config.check(l.problem)
	if err := l.err(); err != nil {
		return Config{}, nil, err
	}
	return l.config, l.origins, nil
}

// loader is the state of one Load. Each source overwrites what the weaker ones before it set.
type loader struct {
	o        LoadOptions
	config   Config
	fields   []yamldoc.Field // of config
	origins  Origins
	env      map[string]string // the variables that start with envPrefix
	doc      *yamldoc.Document // nil without a file
	problems []error           // of all but the file
}

func (l *loader) err() error {
	var file error
	if l.doc != nil {
		file = l.doc.Err()
	}
	return errors.Join(append([]error{file}, l.problems...)...)
}

// problem reports a problem of a setting at the place that its value came from.
func (l *loader) problem(setting, message string) {
	list, _, _ := strings.Cut(setting, "[") // the parts of a list have no origin of their own
	origin := l.origins[list]
	switch origin.Source {
	case SourceFile:
		l.doc.Problem(setting, message)
	case SourceDefault:
		l.problems = append(l.problems, errors.New(setting+": "+message))
	default:
		l.problems = append(l.problems, errors.New(origin.Name+": "+message))
	}
}

func (l *loader) set(f yamldoc.Field, from Origin, text string) {
	l.origins[f.Path] = from
	if err := yamldoc.SetText(f.Value.Addr().Interface(), text); err != nil {
		l.problem(f.Path, err.Error())
	}
}

func (l *loader) fromFile() {
	path := l.o.Path
	if path == "" {
		path = l.env[envFile]
	}
	if path == "" {
		return
	}
	data, err := l.o.ReadFile(path)
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("configuration file: %w", err))
		return
	}
	l.doc = yamldoc.Decode(path, data, &l.config)
	for _, f := range l.fields {
		if line, column, ok := l.doc.Position(f.Path); ok {
			name := path + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(column)
			l.origins[f.Path] = Origin{SourceFile, name}
		}
	}
}

func (l *loader) fromEnv() {
	known := []string{strings.TrimPrefix(envFile, envPrefix)}
	for _, f := range l.fields {
		name := envName(f.Path)
		short := strings.TrimPrefix(name, envPrefix)
		known = append(known, short)
		value, given := l.env[name]
		if given {
			l.set(f, Origin{SourceEnv, name}, value)
		}
		if !isSecret(f) {
			continue
		}
		known = append(known, short+"_FILE")
		if path, ok := l.env[name+"_FILE"]; ok {
			l.set(f, Origin{SourceEnv, name + "_FILE"}, filePrefix+path)
			if given {
				l.problem(f.Path, name+" is given as well")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		short := strings.TrimPrefix(name, envPrefix) // what all have in common would make all look close
		if slices.Contains(known, short) || isServiceLink(name, l.env[name]) {
			continue
		}
		message := name + ": unknown setting"
		if best := yamldoc.Closest(short, known); best != "" {
			message += "; did you mean " + envPrefix + best + "?"
		}
		l.problems = append(l.problems, errors.New(message))
	}
}

func (l *loader) fromFlags() {
	var known []string
	for _, f := range l.fields {
		known = append(known, f.Path)
		value, given := l.o.Flags[f.Path]
		if !given {
			continue
		}
		l.set(f, Origin{SourceFlag, "flag " + f.Path}, value)
		if isSecret(f) && !strings.HasPrefix(value, filePrefix) {
			l.problem(f.Path, "a secret is not given on the command line; write file: and the path of a file that holds it")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.o.Flags)) {
		if !slices.Contains(known, name) {
			l.problems = append(l.problems, errors.New("flag "+name+": unknown setting"+yamldoc.DidYouMean(name, known)))
		}
	}
}

// readSecrets replaces secrets that name a file by what the file holds, less the line break at its end.
func (l *loader) readSecrets() {
	for _, f := range l.fields {
		s, ok := f.Value.Addr().Interface().(*Secret)
		if !ok {
			continue
		}
		path, ok := strings.CutPrefix(s.Reveal(), filePrefix)
		if !ok {
			continue
		}
		data, err := l.o.ReadFile(path)
		value := strings.TrimRight(string(data), "\r\n")
		// The path is not shown: it is the secret itself where somebody confuses the two.
		var cause *fs.PathError
		switch {
		case errors.As(err, &cause):
			l.problem(f.Path, "the secret's file cannot be read: "+cause.Err.Error())
		case err != nil:
			l.problem(f.Path, "the secret's file cannot be read")
		case value == "":
			l.problem(f.Path, "the secret's file is empty")
		}
		*s = NewSecret(value)
	}
}

// derive fills in the defaults that depend on other settings.
func (c *Config) derive() {
	if c.ExtProc.Socket == "" && c.ExtProc.Listen == "" {
		c.ExtProc.Socket = filepath.Join(c.DataDir, "plumbline.sock")
	}
	if c.Deviation.Models == "" {
		c.Deviation.Models = filepath.Join(c.DataDir, "models")
	}
	for n := range c.Identity.Issuers {
		c.Identity.Issuers[n].derive(c.Identity.MaxLifetime)
	}
}

func isSecret(f yamldoc.Field) bool {
	_, ok := f.Value.Interface().(Secret)
	return ok
}

// envName gives the environment variable of a setting.
func envName(setting string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(setting, ".", "_"))
}

// serviceLink matches the variables that Kubernetes sets in every container for a Service whose name starts with
// "plumbline" (kubernetes.io, "Service: environment variables").
var serviceLink = regexp.MustCompile(`^PLUMBLINE_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// isServiceLink tells such a variable from a misspelt setting that ends in PORT by its value, which is an address.
func isServiceLink(name, value string) bool {
	return serviceLink.MatchString(name) && (!strings.HasSuffix(name, "_PORT") || strings.Contains(value, "://") ||
		strings.Contains(name, "_SERVICE_PORT") || strings.Contains(name, "_PORT_"))
}
