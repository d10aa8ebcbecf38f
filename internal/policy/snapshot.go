package policy

import "github.com/plumbline/plumbline/internal/core"

// Snapshot is a compiled policy document. It never changes and is safe for concurrent use.
type Snapshot struct{}

// Option changes how Parse checks a document.
type Option func(*options)

type options struct{ labels []string }

// WithLabels makes an intent label that is not among the given ones an error.
func WithLabels(labels ...string) Option { return func(o *options) { o.labels = labels } }

// Parse compiles a policy document. All problems are reported at once, each with line and column.
func Parse(name string, data []byte, opts ...Option) (*Snapshot, error) { return Default(), nil }

// Default is the policy where no document is given: observe, every model allowed.
func Default() *Snapshot { return &Snapshot{} }

// Version names the document by its content.
func (s *Snapshot) Version() string { return "" }

// Mode is observe or enforce.
func (s *Snapshot) Mode() Mode { return ModeObserve }

// Mode says whether the rules on what is asked take effect.
type Mode string

// The modes.
const (
	ModeObserve Mode = "observe"
	ModeEnforce Mode = "enforce"
)

// NoticeURL is the page that refusals point people to, empty for none.
func (s *Snapshot) NoticeURL() string { return "" }

// ModelAllowed reports whether p may call model.
func (s *Snapshot) ModelAllowed(p core.Principal, model string) bool { return true }

// AllowedModels gives the patterns of the models p may call, for the words of a refusal.
func (s *Snapshot) AllowedModels(p core.Principal) []string { return []string{"*"} }

// Decide gives the verdict on the facts. It is pure: no clock, no I/O, nothing but f and the document.
func (s *Snapshot) Decide(f Facts) core.Verdict {
	return core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone}
}
