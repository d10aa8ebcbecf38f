package export

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

type record = core.Record

// line is a line of NDJSON.
type line struct {
	Writer string  `json:"writer"`
	Seq    uint64  `json:"seq"`
	Leaf   string  `json:"leaf"`
	Record members `json:"record"`
}

// members are those of a record that may leave, under their own names. What is sealed is not among them.
type members struct {
	Kind          core.RecordKind  `json:"kind"`
	Time          time.Time        `json:"time"`
	Exchange      string           `json:"exchange,omitempty"`
	Trace         string           `json:"trace,omitempty"`
	Principal     core.Principal   `json:"principal"`
	Source        string           `json:"source,omitempty"`
	Endpoint      string           `json:"endpoint,omitempty"`
	Model         string           `json:"model,omitempty"`
	ServedModel   string           `json:"served_model,omitempty"`
	Objects       []core.ObjectRef `json:"objects,omitempty"`
	Opaque        []string         `json:"opaque,omitempty"`
	PolicyVersion string           `json:"policy_version,omitempty"`
	Intent        *core.Intent     `json:"intent,omitempty"`
	Deviation     *core.Deviation  `json:"deviation,omitempty"`
	Verdict       *core.Verdict    `json:"verdict,omitempty"`
	Facts         json.RawMessage  `json:"facts,omitempty"`
	Reserved      *core.Charge     `json:"reserved,omitempty"`
	Settled       *core.Charge     `json:"settled,omitempty"`
	Fallback      string           `json:"fallback,omitempty"`
	Usage         *core.Usage      `json:"usage,omitempty"`
	PriceVersion  string           `json:"price_version,omitempty"`
	Status        int              `json:"status,omitempty"`
	Finish        core.Finish      `json:"finish,omitempty"`
	Reason        core.Reason      `json:"reason,omitempty"`
	StageMicros   map[string]int64 `json:"stage_us,omitempty"`
	WorkedMicros  int64            `json:"worked_us,omitempty"`
	Unattributed  int64            `json:"unattributed_tokens,omitempty"`
	Refusals      *core.Refusals   `json:"refusals,omitempty"`
	Admin         *core.Change     `json:"admin,omitempty"`
}

func membersOf(r *record) members {
	return members{
		Kind: r.Kind, Time: r.Time, Exchange: r.Exchange, Trace: r.Trace, Principal: r.Principal, Source: r.Source, Endpoint: r.Endpoint,
		Model: r.Model, ServedModel: r.ServedModel, Objects: r.Objects, Opaque: r.Opaque, PolicyVersion: r.PolicyVersion,
		Intent: r.Intent, Deviation: r.Deviation, Verdict: r.Verdict, Facts: r.Facts, Reserved: r.Reserved, Settled: r.Settled,
		Fallback: r.Fallback, Usage: r.Usage, PriceVersion: r.PriceVersion, Status: r.Status, Finish: r.Finish, Reason: r.Reason,
		StageMicros: r.StageMicros, WorkedMicros: r.WorkedMicros, Unattributed: r.UnattributedTokens, Refusals: r.Refusals, Admin: r.Admin,
	}
}

// newNDJSON gives what writes a record as a line.
func newNDJSON(to io.Writer) func(*audit.Raw, *record) error {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	return func(raw *audit.Raw, r *record) error {
		return e.Encode(line{raw.Writer, raw.Seq, hex.EncodeToString(raw.Leaf[:]), membersOf(r)})
	}
}
