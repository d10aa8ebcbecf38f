package config

// LoadOptions are the surroundings that settings come from.
type LoadOptions struct {
	// Path is the configuration file. Empty: the one that PLUMBLINE_CONFIG names, or none.
	Path string
	// Env is the environment as os.Environ gives it.
	Env []string
	// Flags maps settings ("extproc.socket") to values given on the command line.
	Flags map[string]string
	// ReadFile reads the configuration file and secrets; os.ReadFile in the program.
	ReadFile func(name string) ([]byte, error)
}

// Origin says where a value came from.
type Origin struct {
	Source Source `json:"source"`
	// Name is the file with line and column, the environment variable or the flag; empty for a default.
	Name string `json:"name,omitempty"`
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

// Origins maps each setting ("extproc.socket") to where its value came from.
type Origins map[string]Origin

// Load gathers every setting, checks all of them and returns every problem in one error.
func Load(o LoadOptions) (Config, Origins, error) { return Config{}, Origins{}, nil }
