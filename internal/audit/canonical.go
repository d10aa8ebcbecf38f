package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	fast "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// Canonical gives the bytes that are kept of a record: JSON without white space, fields in the order of core.Record, map
// keys sorted, times in UTC cut to the microsecond. Equal records give equal bytes, Decode gives the record back, and
// the bytes of Facts are kept as they are. They are what encoding/json makes of the record when it does not escape HTML,
// in a fifth of the time.
//
// Two things JSON cannot hold: bytes that are not UTF-8 become U+FFFD, and a score that is not a finite number becomes
// −1, which no score is.
func Canonical(r core.Record) ([]byte, error) {
	e := encoder{b: make([]byte, 0, 2048)} // about twice what a record takes
	e.record(&r)
	if e.err != nil {
		return nil, fmt.Errorf("audit: encoding a record: %w", e.err)
	}
	return e.b, nil
}

// ErrUndecodable says that what is kept of a record is none.
var ErrUndecodable = errors.New("audit: decoding a record")

// Decode reads what Canonical wrote, or gives ErrUndecodable. Facts come from outside of the encoder: what is odd in them stays
// readable.
func Decode(canonical []byte) (core.Record, error) {
	var r core.Record
	if err := fast.Unmarshal(canonical, &r, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return core.Record{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return r, nil
}

// encoder appends JSON, member by member.
type encoder struct {
	b   []byte
	err error // the first failure
}

func (e *encoder) record(r *core.Record) {
	e.open()
	e.string("kind", string(r.Kind))
	e.time("time", r.Time)
	e.stringUnlessEmpty("exchange", r.Exchange)
	e.stringUnlessEmpty("trace", r.Trace)
	e.principal(&r.Principal)
	e.stringUnlessEmpty("source", r.Source)
	e.stringUnlessEmpty("endpoint", r.Endpoint)
	e.stringUnlessEmpty("model", r.Model)
	e.stringUnlessEmpty("served_model", r.ServedModel)
	e.objects(r.Objects)
	e.strings("opaque", r.Opaque)
	e.stringUnlessEmpty("policy_version", r.PolicyVersion)
	e.intent(r.Intent)
	e.deviation(r.Deviation)
	e.verdict(r.Verdict)
	e.facts(r.Facts)
	e.charge("reserved", r.Reserved)
	e.charge("settled", r.Settled)
	e.stringUnlessEmpty("fallback", r.Fallback)
	e.usage(r.Usage)
	e.stringUnlessEmpty("price_version", r.PriceVersion)
	e.intUnlessZero("status", int64(r.Status))
	e.stringUnlessEmpty("finish", string(r.Finish))
	e.stringUnlessEmpty("reason", string(r.Reason))
	e.stages(r.StageMicros)
	e.intUnlessZero("worked_us", r.WorkedMicros)
	e.intUnlessZero("unattributed_tokens", r.UnattributedTokens)
	e.sealed(r.Sealed)
	e.refusals(r.Refusals)
	e.change(r.Admin)
	e.close()
}

func (e *encoder) principal(p *core.Principal) {
	e.name("principal")
	e.open()
	e.stringUnlessEmpty("user", p.User)
	e.stringUnlessEmpty("team", p.Team)
	e.stringUnlessEmpty("app", p.App)
	e.string("method", string(p.Method))
	e.stringUnlessEmpty("issuer", p.Issuer)
	e.stringUnlessEmpty("credential", p.Credential)
	e.stringUnlessEmpty("actor", p.Actor)
	e.stringUnlessEmpty("workload", p.Workload)
	e.close()
}

func (e *encoder) objects(refs []core.ObjectRef) {
	if len(refs) == 0 {
		return
	}
	e.name("objects")
	e.b = append(e.b, '[')
	for i, ref := range refs {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.open()
		e.string("kind", string(ref.Kind))
		e.string("id", ref.ID)
		e.close()
	}
	e.b = append(e.b, ']')
}

func (e *encoder) intent(in *core.Intent) {
	if in == nil {
		return
	}
	e.name("intent")
	e.open()
	e.stringUnlessEmpty("label", in.Label)
	e.score("confidence", in.Confidence)
	if len(in.Top) > 0 {
		e.name("top")
		e.b = append(e.b, '[')
		for i, s := range in.Top {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.open()
			e.string("label", s.Label)
			e.score("p", s.P)
			e.close()
		}
		e.b = append(e.b, ']')
	}
	e.stringUnlessEmpty("unscored", string(in.Unscored))
	e.string("model", in.Model)
	e.close()
}

func (e *encoder) deviation(d *core.Deviation) {
	if d == nil {
		return
	}
	e.name("deviation")
	e.open()
	e.score("score", d.Score)
	if d.P != nil {
		e.score("p", *d.P)
	}
	e.int("n", int64(d.N))
	e.bool("calibrated", d.Calibrated)
	e.stringUnlessEmpty("unscored", string(d.Unscored))
	e.stringUnlessEmpty("task", d.Task)
	e.stringUnlessEmpty("phrase", d.Phrase)
	e.intUnlessZero("example", int64(d.Example))
	e.intUnlessZero("out_of_scope_example", int64(d.OutOfScope))
	e.string("model", d.Model)
	e.close()
}

func (e *encoder) charge(name string, c *core.Charge) {
	if c == nil {
		return
	}
	e.name(name)
	e.open()
	e.time("admitted", c.Admitted)
	e.int("requests", c.Requests)
	e.int("input_tokens", c.InputTokens)
	e.int("output_tokens", c.OutputTokens)
	e.int("cost_micro_usd", int64(c.Cost))
	e.close()
}

func (e *encoder) verdict(v *core.Verdict) {
	if v == nil {
		return
	}
	e.name("verdict")
	e.open()
	e.string("action", string(v.Action))
	e.string("decided", string(v.Decided))
	e.string("reason", string(v.Reason))
	e.stringUnlessEmpty("rule", v.Rule)
	e.trueOnly("uncalibrated", v.Uncalibrated)
	e.close()
}

func (e *encoder) facts(facts json.RawMessage) {
	if len(facts) == 0 {
		return
	}
	e.name("facts")
	b := bytes.NewBuffer(e.b)
	if err := json.Compact(b, facts); err != nil && e.err == nil {
		e.err = fmt.Errorf("facts: %w", err)
	}
	e.b = b.Bytes()
}

func (e *encoder) usage(u *core.Usage) {
	if u == nil {
		return
	}
	e.name("usage")
	e.open()
	e.int("input_tokens", u.InputTokens)
	e.intUnlessZero("cached_input_tokens", u.CachedInputTokens)
	e.int("output_tokens", u.OutputTokens)
	e.intUnlessZero("reasoning_tokens", u.ReasoningTokens)
	e.intUnlessZero("audio_input_tokens", u.AudioInputTokens)
	e.intUnlessZero("audio_output_tokens", u.AudioOutputTokens)
	e.intUnlessZero("image_input_tokens", u.ImageInputTokens)
	e.intUnlessZero("image_output_tokens", u.ImageOutputTokens)
	e.intUnlessZero("images", u.Images)
	e.intUnlessZero("characters", u.Characters)
	e.intUnlessZero("audio_ms", u.AudioMillis)
	e.trueOnly("estimated", u.Estimated)
	e.close()
}

func (e *encoder) stages(micros map[string]int64) {
	if len(micros) == 0 {
		return
	}
	e.name("stage_us")
	e.open()
	for _, stage := range slices.Sorted(maps.Keys(micros)) {
		e.separate()
		e.quote(stage)
		e.b = append(e.b, ':')
		e.b = strconv.AppendInt(e.b, micros[stage], 10)
	}
	e.close()
}

func (e *encoder) sealed(s *core.Sealed) {
	if s == nil {
		return
	}
	e.name("sealed")
	e.open()
	e.stringUnlessEmpty("key", s.Key)
	e.bytes("evidence", s.Evidence)
	e.bytes("prompt", s.Prompt)
	e.bytes("answer", s.Answer)
	e.bytes("prompt_hash", s.PromptHash)
	e.bytes("answer_hash", s.AnswerHash)
	e.bytes("sample", s.Sample)
	e.stringUnlessEmpty("sample_key", s.SampleKey)
	e.stringUnlessEmpty("withheld", string(s.Withheld))
	e.close()
}

func (e *encoder) refusals(r *core.Refusals) {
	if r == nil {
		return
	}
	e.name("refusals")
	e.open()
	e.int("count", r.Count)
	e.time("first", r.First)
	e.time("last", r.Last)
	e.stringUnlessEmpty("issuer", r.Issuer)
	e.stringUnlessEmpty("network", r.Network)
	e.close()
}

func (e *encoder) change(c *core.Change) {
	if c == nil {
		return
	}
	e.name("admin")
	e.open()
	e.string("actor", c.Actor)
	e.string("action", c.Action)
	e.string("object", c.Object)
	e.stringUnlessEmpty("reason", c.Reason)
	e.close()
}

func (e *encoder) open()  { e.b = append(e.b, '{') }
func (e *encoder) close() { e.b = append(e.b, '}') }

// separate parts a member from the one before it.
func (e *encoder) separate() {
	if e.b[len(e.b)-1] != '{' {
		e.b = append(e.b, ',')
	}
}

// name begins a member. Names are constants that need no escapes.
func (e *encoder) name(name string) {
	e.separate()
	e.b = append(e.b, '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
}

func (e *encoder) string(name, s string) {
	e.name(name)
	e.quote(s)
}

func (e *encoder) stringUnlessEmpty(name, s string) {
	if s != "" {
		e.string(name, s)
	}
}

// strings writes a list, unless it is empty.
func (e *encoder) strings(name string, list []string) {
	if len(list) == 0 {
		return
	}
	e.name(name)
	e.b = append(e.b, '[')
	for i, s := range list {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.quote(s)
	}
	e.b = append(e.b, ']')
}

// bytes writes what is no text in base64, unless it is empty.
func (e *encoder) bytes(name string, b []byte) {
	if len(b) == 0 {
		return
	}
	e.name(name)
	e.b = append(e.b, '"')
	e.b = base64.StdEncoding.AppendEncode(e.b, b)
	e.b = append(e.b, '"')
}

func (e *encoder) int(name string, n int64) {
	e.name(name)
	e.b = strconv.AppendInt(e.b, n, 10)
}

func (e *encoder) intUnlessZero(name string, n int64) {
	if n != 0 {
		e.int(name, n)
	}
}

func (e *encoder) bool(name string, v bool) {
	e.name(name)
	e.b = strconv.AppendBool(e.b, v)
}

func (e *encoder) trueOnly(name string, v bool) {
	if v {
		e.bool(name, v)
	}
}

func (e *encoder) time(name string, t time.Time) {
	t = canonicalTime(t)
	if y := t.Year(); (y < 0 || y > 9999) && e.err == nil {
		e.err = fmt.Errorf("%s: the year %d does not fit into RFC 3339", name, y)
	}
	e.name(name)
	e.b = append(e.b, '"')
	e.b = t.AppendFormat(e.b, time.RFC3339Nano)
	e.b = append(e.b, '"')
}

// score writes a number in the fewest digits that give it back.
func (e *encoder) score(name string, f float64) {
	f = finite(f)
	e.name(name)
	if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		e.b = strconv.AppendFloat(e.b, f, 'f', -1, 64)
		return
	}
	e.b = strconv.AppendFloat(e.b, f, 'e', -1, 64)
	if n := len(e.b); e.b[n-4] == 'e' && e.b[n-2] == '0' { // e-09 is written e-9
		e.b = append(e.b[:n-2], e.b[n-1])
	}
}

// quote writes a string: most need no escapes.
func (e *encoder) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			e.escaped(s)
			return
		}
	}
	e.b = append(e.b, '"')
	e.b = append(e.b, s...)
	e.b = append(e.b, '"')
}

// escaped leaves the rare cases to encoding/json.
func (e *encoder) escaped(s string) {
	b := bytes.NewBuffer(e.b)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // every string has a form
	e.b = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func canonicalTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return -1
	}
	return f
}
