// Package archtest holds the rules of the architecture as tests: which package may import which, where each
// third-party library stays, and a few habits that a reader relies on.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/plumbline/plumbline"

// layers orders the packages from the inside out. A package may import packages of layers before its own, and those of
// its own layer that siblings names.
var layers = [][]string{
	{"internal/wholefile", "internal/durable", "internal/keyfile", "internal/hugepage"},
	{
		"internal/core", "internal/yamldoc", "internal/sqlite", "internal/postgres", "internal/schema", "internal/audit/chain", "internal/wait", "internal/embed",
		"internal/intent/fit", "internal/intent/testset",
		"migrations",
	},
	{
		"internal/detect", "internal/sysprompt", "internal/calibrate", "internal/condition", "internal/models", "internal/teacher", "internal/tune",
	},
	{"internal/redact"},
	{
		"internal/openai", "internal/identity", "internal/policy", "internal/quota", "internal/intent", "internal/deviation",
		"internal/telemetry", "internal/config", "internal/store", "internal/seal", "internal/envoyconf", "internal/envoyproc",
		"internal/judge",
	},
	{
		"internal/gate", "internal/audit", "internal/identity/jwks", "internal/quota/threshold", "internal/replay", "internal/store/layout",
		"internal/detect/evaluation", "internal/describe", "internal/evaluate",
	},
	{
		"internal/extproc", "internal/trial", "internal/policycase", "internal/quota/memory", "internal/quota/guard", "internal/quota/redis", "internal/quota/rollup",
		"internal/quota/drift", "internal/store/sqlite", "internal/store/postgres", "internal/audit/ship", "internal/audit/postgres",
		"internal/audit/takeover", "internal/audit/notary",
		"internal/audit/read", "internal/audit/export",
		"internal/jobs",
	},
	{"internal/app"},
	{"internal/simulate"},
	{"internal/demo/provider"},
	{"internal/demo"},
	{"internal/cli"},
	{"cmd/plumbline"},
}

// siblings are imports within one layer, each with its reason.
var siblings = map[string][]string{
	"internal/evaluate":   {"internal/describe"},  // measures what drafted topics are worth
	"internal/deviation":  {"internal/intent"},    // scores the same view of a prompt
	"internal/store":      {"internal/quota"},     // limits are objects of the store
	"internal/keyfile":    {"internal/wholefile"}, // a key is read as any file is, and judged before
	"internal/policycase": {"internal/trial"},     // a case is a trial
	"internal/sqlite":     {"internal/schema"},    // the order of migrations is the same in both
	"internal/postgres":   {"internal/schema"},
	// is the store that the shipper ships to
	"internal/audit/postgres": {"internal/audit/ship", "internal/audit/read"},
	"internal/audit/takeover": {"internal/audit/ship"}, // ships what others left
	// sums what a process recorded with what the shipper sums with
	"internal/audit/read": {"internal/audit/ship"},
	// counts at the scale of one replica while the shared ledger is away
	"internal/quota/guard": {"internal/quota/memory"},
}

// testOnly packages serve tests and benchmarks; the program must not import them.
var testOnly = []string{
	"internal/testkit", "internal/embed/embedtest", "internal/detect/detecttest", "internal/policy/policytest", "internal/gate/gatetest", "internal/quota/quotatest", "internal/store/storetest", "internal/audit/audittest", "internal/bench", "internal/bench/footprint",
	"internal/archtest", "internal/e2e", "internal/intent/train", "internal/evaluate/publish",
}

// homes names the packages that may import a third-party library.
var homes = map[string][]string{
	"github.com/envoyproxy/go-control-plane":    {"internal/extproc", "internal/envoyconf"},
	"google.golang.org/grpc":                    {"internal/extproc"},
	"github.com/golang-jwt/jwt":                 {"internal/identity"},
	"modernc.org/sqlite":                        {"internal/sqlite"},
	"github.com/jackc/pgx":                      {"internal/postgres", "internal/store/postgres", "internal/audit/postgres"},
	"github.com/prometheus/client_golang":       {"internal/telemetry", "internal/app"},
	"github.com/alecthomas/kong":                {"internal/cli"},
	"golang.org/x/term":                         {"internal/cli"},
	"github.com/google/cel-go":                  {"internal/condition"},
	"github.com/goccy/go-yaml":                  {"internal/yamldoc", "internal/envoyconf"},
	"github.com/tiktoken-go/tokenizer":          {"internal/openai"},
	"github.com/andybalholm/brotli":             {"internal/openai"},
	"github.com/klauspost/compress":             {"internal/openai"},
	"golang.org/x/mod":                          {"internal/audit/chain", "internal/audit/export"},
	"github.com/google/uuid":                    {"internal/gate", "internal/app"},
	"github.com/redis/go-redis":                 {"internal/quota/redis"},
	"github.com/riverqueue/river":               {"internal/jobs"},
	"github.com/envoyproxy/protoc-gen-validate": {},
}

type pkg struct {
	ImportPath   string
	Dir          string
	Doc          string
	Name         string
	Imports      []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

func (p pkg) short() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func TestImportsPointInward(t *testing.T) {
	layerOf := map[string]int{}
	for i, layer := range layers {
		for _, name := range layer {
			layerOf[name] = i
		}
	}
	for _, p := range packages(t) {
		from := p.short()
		if isTestOnly(from) {
			continue
		}
		own, ok := layerOf[from]
		if !ok {
			t.Errorf("%s has no layer: give it one in internal/archtest", from)
			continue
		}
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module+"/") {
				continue
			}
			to := strings.TrimPrefix(imported, module+"/")
			switch {
			case isTestOnly(to):
				t.Errorf("%s imports %s, which is for tests only", from, to)
			case layerOf[to] < own || slices.Contains(siblings[from], to):
			default:
				t.Errorf("%s must not import %s: imports point inward", from, to)
			}
		}
	}
}

func TestThirdPartyLibrariesStayAtHome(t *testing.T) {
	for _, p := range packages(t) {
		if isTestOnly(p.short()) {
			continue
		}
		for _, imported := range p.Imports {
			for library, allowed := range homes {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(allowed, p.short()) {
					t.Errorf("%s imports %s, which stays in %v", p.short(), imported, allowed)
				}
			}
		}
	}
}

// TestVerifierKnowsNoNetwork guards that a token is verified from memory: what fetches keys stands in a package of its own.
func TestVerifierKnowsNoNetwork(t *testing.T) {
	for _, p := range packages(t) {
		if p.short() != "internal/identity" {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "net" || strings.HasPrefix(imported, "net/") || imported == "os" {
				t.Errorf("%s imports %s: keys are fetched in internal/identity/jwks", p.short(), imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.short())
		}
	}
}

// TestCleanEndStandsInOnePlace guards the rule that an ext_proc stream handler which returns nil before the verdict lets
// the request through un-judged.
func TestCleanEndStandsInOnePlace(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root(t), "internal/extproc/server.go"))
	if err != nil {
		t.Fatal(err)
	}
	process := regexp.MustCompile(`(?s)func \(s \*Server\) Process\(.*?\n}\n`).Find(source)
	if n := bytes.Count(process, []byte("return nil")); n != 1 {
		t.Errorf("Process returns nil in %d places, not 1", n)
	}
}

// TestFilesStayReadable keeps files at a length that somebody wants to read.
func TestFilesStayReadable(t *testing.T) {
	const most = 600
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(source, []byte("\n")); n > most {
				t.Errorf("%s has %d lines, more than %d: split it by step", path.Join(p.short(), name), n, most)
			}
		}
	}
}

// TestOnlyMainEndsTheProcess forbids ways to end the process anywhere else.
func TestOnlyMainEndsTheProcess(t *testing.T) {
	ends := regexp.MustCompile(`\b(os\.Exit|log\.Fatal\w*)\(`)
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		for _, name := range p.GoFiles {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if found := ends.Find(source); found != nil {
				t.Errorf("%s calls %s", path.Join(p.short(), name), found)
			}
		}
	}
}

func isTestOnly(name string) bool {
	return slices.ContainsFunc(testOnly, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Name,Imports,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(dir))
}
