package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/wholefile"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// policyEvery is how often the document is looked at.
const policyEvery = time.Second

// LoadPolicy reads the policy document, or gives the default one for no path. A name that the models, rules or endpoints do
// not have is an error: a rule on it would never apply.
func LoadPolicy(path string) (*policy.Snapshot, error) {
	if path == "" {
		return policy.Default(), nil
	}
	rules, _, err := loadPolicy(path)
	return rules, err
}

// loadPolicy gives the text of the document as well.
func loadPolicy(path string) (*policy.Snapshot, []byte, error) {
	data, err := readPolicy(path)
	if err != nil {
		return nil, nil, err
	}
	rules, err := parsePolicy(path, data)
	return rules, data, err
}

func parsePolicy(path string, data []byte) (*policy.Snapshot, error) {
	classifier, err := intent.Default()
	if err != nil {
		return nil, err
	}
	rules, err := policy.Parse(path, data, policy.WithLabels(classifier.Labels()...), policy.WithKinds(detect.Kinds(), detect.Forms()),
		policy.WithEndpoints(openai.EndpointNames()...), policy.WithoutPrompt(openai.EndpointsWithoutPrompt()...))
	if err != nil {
		return nil, err
	}
	if _, err := extended(classifier, rules); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rules, nil
}

// readPolicy reads a file or a pipe, up to one byte more than a document may have.
func readPolicy(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy.file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, yamldoc.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("policy.file: %w", err)
	}
	return data, nil
}

// readWatched reads a document that is looked at again and again. It must be a file: a pipe could be read once, if ever.
func readWatched(path string) ([]byte, error) {
	data, err := wholefile.Read(path, yamldoc.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("policy.file: %w", err)
	}
	return data, nil
}

// policyKeeper keeps the policy in force while the process runs: the document of a file where the configuration names one,
// else the newest version in the store, else the built-in one. A document that is broken, or gone, changes nothing: the last
// good one stays, and what is wrong is in the log, in the metrics and in the status.
type policyKeeper struct {
	path    string
	metrics *telemetry.Metrics
	log     *slog.Logger
	current atomic.Pointer[policy.Snapshot]

	// looking is held while the file is looked at, which takes as long as its disk does: load must not wait for that, since
	// all of the control data comes by it.
	looking sync.Mutex
	file    watchedFile // looking

	mu      sync.Mutex // after looking
	status  PolicyStatus
	keeping owedPolicy
	stored  storedPolicy
}

// watchedFile is what is known of the file.
type watchedFile struct {
	seen [sha256.Size]byte // of the document that was looked at last
	// readable: it could be read then. One that is back is looked at again.
	readable bool
}

// PolicyStatus says which policy is in force, and what keeps the document from being.
type PolicyStatus struct {
	File    string `json:"file,omitempty"` // empty for one of the store, and for the built-in one
	Version string `json:"version"`
	// Number is that of its version in the store, 0 while it has none.
	Number int64     `json:"number,omitempty"`
	Mode   string    `json:"mode"`
	Since  time.Time `json:"since"`
	// Problems are what is wrong with the document as it is now; since when it is. Empty: it is in force.
	Problems []string  `json:"problems,omitempty"`
	Broken   time.Time `json:"broken,omitzero"`
}

// newPolicyKeeper reads the document of a file. There is no last good one yet: one that is broken is an error. Without a file
// nothing is in force before load is called.
func newPolicyKeeper(path string, metrics *telemetry.Metrics, log *slog.Logger) (*policyKeeper, error) {
	k := &policyKeeper{path: path, metrics: metrics, log: log}
	if path == "" {
		return k, nil
	}
	data, err := readWatched(path)
	if err != nil {
		return nil, err
	}
	rules, err := parsePolicy(path, data)
	if err != nil {
		return nil, err
	}
	k.file.seen, k.file.readable = sha256.Sum256(data), true
	k.takeFile(rules, data)
	return k, nil
}

// inForce is the policy that a new exchange pins.
func (k *policyKeeper) inForce() *policy.Snapshot { return k.current.Load() }

func (k *policyKeeper) put(rules *policy.Snapshot, number int64) {
	k.current.Store(rules)
	k.metrics.PolicyInForce(rules.Version(), string(rules.Mode()))
	k.status = PolicyStatus{File: k.path, Version: rules.Version(), Number: number, Mode: string(rules.Mode()), Since: time.Now().UTC()}
}

// takeFile puts the document of the file in force.
func (k *policyKeeper) takeFile(rules *policy.Snapshot, data []byte) {
	k.put(rules, 0)
	k.keeping.owe(rules, data)
}

// run looks at the document of the file until ctx ends. Versions of the store come by load.
func (k *policyKeeper) run(ctx context.Context, into store.Policies) error {
	if k.path == "" {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx) // a store that does not answer must not hold up the file
	group.Go(func() error { return every(ctx, policyEvery, k.look) })
	group.Go(func() error { return every(ctx, policyEvery, func() { k.keep(ctx, into) }) })
	return group.Wait()
}

// look puts the document in force if it is another one than it was and is good. Whatever is wrong is told once.
func (k *policyKeeper) look() {
	k.looking.Lock()
	defer k.looking.Unlock()
	data, err := readWatched(k.path)
	sum := sha256.Sum256(data)
	if err == nil && sum == k.file.seen && k.file.readable {
		return
	}
	k.file = watchedFile{seen: sum, readable: err == nil}
	var rules *policy.Snapshot
	if err == nil {
		rules, err = parsePolicy(k.path, data)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.refuse(err)
		return
	}
	k.metrics.PolicyRead(true)
	k.takeFile(rules, data)
	k.log.Info("the policy is in force", "version", rules.Version(), "mode", string(rules.Mode()))
}

// refuse notes why the document is not in force.
func (k *policyKeeper) refuse(err error) {
	problems := strings.Split(err.Error(), "\n")
	if strings.Join(k.status.Problems, "\n") == err.Error() {
		return
	}
	k.metrics.PolicyRead(false)
	k.status.Problems, k.status.Broken = problems, time.Now().UTC()
	k.log.Error("the policy document is not in force; the last good one stays", "version", k.status.Version, "problems", problems)
}

const policyPath = "/policy/status"

type policyQuestion struct{}

func (k *policyKeeper) handle(mux *http.ServeMux) {
	mux.HandleFunc("POST "+policyPath, answer(k.state))
}

// state looks at the document first, so that the answer is of now.
func (k *policyKeeper) state(context.Context, policyQuestion) (PolicyStatus, error) {
	if k.path != "" {
		k.look()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status, nil
}

// AskPolicy asks the process that serves a data directory which policy is in force.
func AskPolicy(ctx context.Context, dataDir string) (PolicyStatus, error) {
	var s PolicyStatus
	err := newAdminClient(dataDir).ask(ctx, policyPath, policyQuestion{}, &s)
	if errors.Is(err, errNotRunning) {
		return s, fmt.Errorf("no Plumbline serves %s: start it, or name its data directory with --set data_dir=…", dataDir)
	}
	return s, err
}
