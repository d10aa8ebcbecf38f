package replay

import (
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// maxExamples bounds how many differences are named.
const maxExamples = 100

// Report is what a replay found. Its JSON is stable: members may be added, none changes its meaning.
type Report struct {
	Policy PolicyName `json:"policy"`
	// First and Last are the times of the first and the last decision that was looked at; zero for none.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`

	Records Records `json:"records"`
	// Decisions are the calls that were decided one by one and match the filter, Replayed those decided again. For the others
	// see NotReplayed, which also holds the sums of refusals of callers that nobody could name.
	Decisions   int64   `json:"decisions"`
	Replayed    int64   `json:"replayed"`
	NotReplayed []Calls `json:"not_replayed"`

	// Total sums all that was replayed. Applied says how often which action became which, and Decided the same for what the
	// rules said, whether or not the mode let it hold.
	Total   Tally        `json:"total"`
	Applied []Transition `json:"applied"`
	Decided []Transition `json:"decided"`
	// Rules and People hold the largest changes first.
	Rules  []Rule   `json:"rules"`
	People []Person `json:"people"`
	// Others are people above Options.MaxPeople, and Erased those who were erased.
	Others *Group `json:"others,omitempty"`
	Erased *Group `json:"erased,omitempty"`

	// Kept are refusals that were not the policy's and stay: the ledger or the audit could not be asked.
	Kept        int64       `json:"kept"`
	Approximate Approximate `json:"approximate"`
	Same        Same        `json:"same_policy"`
	// Policies and Models are under which policies and by which models the replayed calls were decided.
	Policies []Version `json:"policies"`
	Models   []Model   `json:"models"`
	Warnings []string  `json:"warnings"`
}

// PolicyName names a policy.
type PolicyName struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`
}

// Records count what was read. Crashed are outcomes of calls during which Plumbline died; their decision is replayed as any
// other.
type Records struct {
	Read     int64 `json:"read"`
	Outcomes int64 `json:"outcomes"`
	Crashed  int64 `json:"crashed"`
	Refusals int64 `json:"refusals"`
	Admin    int64 `json:"admin"`
}

// Cause is why a call could not be replayed.
type Cause string

// The causes.
const (
	CauseBeforeFacts Cause = "before_facts"  // refused before it was known what was asked: a bad credential, a bad body
	CauseUndecided   Cause = "undecided"     // the caller left before the verdict
	CauseNoFacts     Cause = "no_facts"      // the record lacks the facts
	CauseOtherFacts  Cause = "other_version" // the facts are of another version of Plumbline
	CauseUnreadable  Cause = "unreadable"    // the record cannot be read
)

// Words say what the cause is.
func (c Cause) Words() string {
	switch c {
	case CauseBeforeFacts:
		return "refused before there were facts"
	case CauseUndecided:
		return "the caller left before the verdict"
	case CauseNoFacts:
		return "the record lacks the facts"
	case CauseOtherFacts:
		return "facts of another version of Plumbline"
	default:
		return "the record cannot be read"
	}
}

// Calls are calls that could not be replayed.
type Calls struct {
	Cause  Cause       `json:"cause"`
	Reason core.Reason `json:"reason"` // that was recorded
	Calls  int64       `json:"calls"`
}

// Transition says how many calls went from one action to another, which may be the same.
type Transition struct {
	Was   core.Action `json:"was"`
	Would core.Action `json:"would"`
	Calls int64       `json:"calls"`
}

// Rule is what one rule did and would have done. Rule is empty for refusals that were no rule's.
type Rule struct {
	Rule   string      `json:"rule"`
	Reason core.Reason `json:"reason"`
	Was    Counts      `json:"was"`
	Would  Counts      `json:"would"`
}

// Person is what was and would have been done to one person, or to an app that calls in nobody's name. Team is that of the
// last call.
type Person struct {
	User string `json:"user,omitempty"`
	App  string `json:"app,omitempty"`
	Team string `json:"team,omitempty"`
	Tally
}

// Name is the user, else the app.
func (p *Person) Name() string { return core.Principal{User: p.User, App: p.App}.Name() }

// Group is several people together.
type Group struct {
	// People is how many they are, zero where they were not told apart.
	People int64 `json:"people,omitempty"`
	Tally
}

// Same checks the replay against the records of its own policy: the verdicts must be equal. A difference is a fault, or a
// record that was changed.
type Same struct {
	Records     int64        `json:"records"`
	Differences int64        `json:"differences"`
	Examples    []Difference `json:"examples,omitempty"`
}

// Difference is a call whose recorded verdict is not what the policy decides.
type Difference struct {
	Time     time.Time    `json:"time"`
	Exchange string       `json:"exchange"`
	Recorded core.Verdict `json:"recorded"`
	Replayed core.Verdict `json:"replayed"`
}

// Approximate counts what is not exact.
type Approximate struct {
	// Unasked are calls that the policy had refused and would now pass: whether their limits had room was not asked.
	Unasked int64 `json:"unasked"`
	// Limits are refusals by a limit that are kept as they were, although other calls pass or are refused than had then, so
	// that the limit would have been used otherwise. Zero where the same calls pass.
	Limits int64 `json:"limits"`

	limited int64 // what Limits is where other calls pass
}

// Version says how many calls were decided under a policy.
type Version struct {
	Version string `json:"version"`
	Calls   int64  `json:"calls"`
}

// Model says how many calls a model scored. Today is whether it is the one that scores now; the stored scores are used
// either way.
type Model struct {
	Part    string `json:"part"` // intent or deviation
	Version string `json:"version"`
	Calls   int64  `json:"calls"`
	// Beside is how many of the calls were scored beside a sample of the deployment's traffic, of whatever version.
	Beside int64 `json:"beside_traffic,omitempty"`
	Today  bool  `json:"today"`
}
