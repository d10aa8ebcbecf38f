package audit_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestCanonicalGolden pins the bytes: changing them breaks the hashes of every log there is.
func TestCanonicalGolden(t *testing.T) {
	const file = "testdata/canonical.txtar"
	p := 0.25
	records := []struct {
		name string
		rec  core.Record
	}{
		{"intent", intentRecord(1)},
		{"outcome", outcomeRecord(1)},
		{"deny", core.Record{
			Kind: core.RecordDeny, Time: start.In(time.FixedZone("", 3600)).Add(1234567), Exchange: exchangeID(2),
			Principal: core.Principal{App: "a\x00b<\"\u2028é\xff"}, Status: 403, Reason: core.ReasonOffTask,
			Intent:    &core.Intent{Confidence: math.NaN(), Unscored: core.UnscoredLanguage, Model: "m"},
			Deviation: &core.Deviation{Score: math.Inf(1), P: &p, N: 40, Calibrated: true, Words: []core.WordWeight{{Word: "secret", Weight: 1}}},
			Verdict:   &core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: core.ReasonOffTask, Rule: "r1"},
		}},
		{"refusals", core.Record{
			Kind: core.RecordRefusals, Time: start, Reason: core.ReasonMissingCredential,
			Refusals: &core.Refusals{Count: math.MaxInt64, First: start, Last: start.Add(time.Second), Network: "192.0.2.0/24"},
		}},
		{"admin", core.Record{Kind: core.RecordAdmin, Time: start, Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}},
		{"sealed", core.Record{
			Kind: core.RecordOutcome, Time: start, Exchange: exchangeID(3), Principal: core.Principal{User: "ada"},
			Sealed: &core.Sealed{Key: "k1", Answer: []byte{0, 0xff, 0xfe}, AnswerHash: []byte("~~~")},
		}},
		{"reveal", core.Record{
			Kind: core.RecordAdmin, Time: start,
			Admin: &core.Change{Actor: "cli:eve", Action: "reveal", Object: "exchange/x", Reason: "a complaint"},
		}},
	}
	var got txtar.Archive
	got.Comment = []byte("The canonical bytes of a record of each kind, each followed by its leaf hash as number 7 of writer W.\n")
	for _, r := range records {
		canonical, err := audit.Canonical(r.rec)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		leaf := audit.LeafHash(canonical, "W", 7)
		data := fmt.Appendf(nil, "%s\n%s\n", canonical, hex.EncodeToString(leaf[:]))
		got.Files = append(got.Files, txtar.File{Name: r.name, Data: data})
	}
	testkit.Golden(t, file, txtar.Format(&got), *update, "canonical bytes changed, which records that were written rely on")
}

func TestCanonicalLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := drawRecord(t)
		canonical, err := audit.Canonical(rec)
		if err != nil {
			t.Fatal(err)
		}
		back, err := audit.Decode(canonical)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("decoding lost something (-want +got):\n%s", diff)
		}
		again, err := audit.Canonical(back)
		if err != nil || !bytes.Equal(canonical, again) {
			t.Errorf("encoding again gives other bytes: %v\n%s\n%s", err, canonical, again)
		}
		if diff := cmp.Diff(string(plainJSON(t, rec)), string(canonical)); diff != "" {
			t.Errorf("not what encoding/json writes (-want +got):\n%s", diff)
		}
	})
}

// plainJSON is the reference for canonical bytes of records that JSON can hold.
func plainJSON(t interface{ Fatal(...any) }, rec core.Record) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(rec); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// TestCanonicalHasEveryField: a field added to a record, and forgotten by Canonical, shows here.
func TestCanonicalHasEveryField(t *testing.T) {
	var rec core.Record
	fill(reflect.ValueOf(&rec).Elem())
	got, err := audit.Canonical(rec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(plainJSON(t, rec)), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// fill sets every field that v holds to something that is not its zero value.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(start))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"a":1}`))
		return
	case []byte:
		v.SetBytes([]byte{0, 0xff, 7})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("a<&>")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(2.5e-9)
	default:
		v.SetInt(7)
	}
}

// drawRecord makes any record that the gate could, whole microseconds in UTC included.
func drawRecord(t *rapid.T) core.Record {
	text := rapid.String()
	small := rapid.Int64Range(0, math.MaxInt64)
	score := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64())
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "µs")).UTC()
	})
	charge := rapid.Custom(func(t *rapid.T) core.Charge {
		return core.Charge{
			Admitted: at.Draw(t, "admitted"), Requests: small.Draw(t, "n"), InputTokens: small.Draw(t, "in"),
			OutputTokens: small.Draw(t, "out"), Cost: core.MicroUSD(small.Draw(t, "cost")),
		}
	})
	intent := rapid.Custom(func(t *rapid.T) core.Intent {
		in := core.Intent{Label: text.Draw(t, "label"), Confidence: score.Draw(t, "p"), Model: text.Draw(t, "model")}
		for range rapid.IntRange(0, 3).Draw(t, "top") {
			in.Top = append(in.Top, core.LabelScore{Label: text.Draw(t, "label"), P: score.Draw(t, "p")})
		}
		return in
	})
	deviation := rapid.Custom(func(t *rapid.T) core.Deviation {
		return core.Deviation{
			Score: score.Draw(t, "score"), P: rapid.Ptr(score, true).Draw(t, "p"), N: rapid.IntRange(0, 1e6).Draw(t, "n"),
			Task: text.Draw(t, "task"), Phrase: text.Draw(t, "phrase"), Model: text.Draw(t, "model"),
			Example: rapid.IntRange(0, 9).Draw(t, "example"), OutOfScope: rapid.IntRange(0, 9).Draw(t, "out of scope"),
		}
	})
	facts, err := json.Marshal(rapid.MapOf(text, text).Draw(t, "facts"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := rapid.Custom(func(t *rapid.T) core.Sealed {
		bytes := rapid.SliceOf(rapid.Byte())
		return core.Sealed{
			Key: text.Draw(t, "key"), Evidence: bytes.Draw(t, "evidence"), Answer: bytes.Draw(t, "answer"), PromptHash: bytes.Draw(t, "hash"),
			Withheld: core.Withheld(text.Draw(t, "withheld")),
		}
	})
	return core.Record{
		Kind: core.RecordOutcome, Time: at.Draw(t, "time"), Exchange: "x" + text.Draw(t, "exchange"), Trace: text.Draw(t, "trace"),
		Principal: core.Principal{User: text.Draw(t, "user"), Team: text.Draw(t, "team"), App: text.Draw(t, "app")},
		Source:    text.Draw(t, "source"), Endpoint: text.Draw(t, "endpoint"), Model: text.Draw(t, "model"),
		Intent: rapid.Ptr(intent, true).Draw(t, "intent"), Deviation: rapid.Ptr(deviation, true).Draw(t, "deviation"),
		Verdict: &core.Verdict{Action: core.ActionWarn, Decided: core.ActionBlock, Rule: text.Draw(t, "rule")},
		Facts:   facts, Reserved: rapid.Ptr(charge, true).Draw(t, "reserved"), Settled: rapid.Ptr(charge, true).Draw(t, "settled"),
		Usage:  &core.Usage{InputTokens: small.Draw(t, "in"), OutputTokens: small.Draw(t, "out"), Estimated: true},
		Status: rapid.IntRange(0, 599).Draw(t, "status"), Finish: core.FinishComplete, Reason: core.Reason(text.Draw(t, "reason")),
		StageMicros: rapid.MapOf(text, small).Draw(t, "stages"), WorkedMicros: small.Draw(t, "worked"),
		Sealed: rapid.Ptr(sealed, true).Draw(t, "sealed"),
	}
}

// FuzzDecode: whatever bytes a log holds, reading them does not panic, and what can be read has one canonical form.
func FuzzDecode(f *testing.F) {
	for i := range 2 {
		for _, rec := range []core.Record{intentRecord(i), outcomeRecord(i)} {
			canonical, err := audit.Canonical(rec)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(canonical)
		}
	}
	f.Add([]byte(`{"kind":"deny","time":"2026-03-01T12:00:00.0000001+01:00","facts":null,"principal":{"user":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := audit.Decode(data)
		if err != nil {
			return
		}
		once, err := audit.Canonical(rec)
		if err != nil {
			return // a time that JSON cannot hold
		}
		rec, err = audit.Decode(once)
		if err != nil {
			t.Fatalf("cannot decode %q: %v", once, err)
		}
		if want := plainJSON(t, rec); !bytes.Equal(want, once) {
			t.Fatalf("not what encoding/json writes:\n%s\n%s", want, once)
		}
		twice, err := audit.Canonical(rec)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not canonical: %v\n%s\n%s", err, once, twice)
		}
	})
}

func TestLeafHashTellsEntriesApart(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, e := range []struct {
		writer, canonical string
		seq               uint64
	}{{"A", "{}", 1}, {"A", "{}", 2}, {"A", "{} ", 1}, {"B", "{}", 1}, {"A", "1\n{}", 1}, {"A", "{}", 11}, {"A1", "{}", 1}} {
		seen[audit.LeafHash([]byte(e.canonical), e.writer, e.seq)] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d of 7 hashes differ", len(seen))
	}
}

func BenchmarkCanonical(b *testing.B) {
	rec := outcomeRecord(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Canonical(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// TestOutOfScopeTextOfBefore: records once held the text of an out-of-scope example, which has a number now. They are read as any.
func TestOutOfScopeTextOfBefore(t *testing.T) {
	record, err := audit.Decode([]byte(`{"kind":"deny","time":"2026-03-01T12:00:00Z","principal":{},"deviation":{"score":0.5,"n":0,` +
		`"calibrated":false,"task":"trips","phrase":"Business travel","out_of_scope":"Plan my honeymoon","model":"m"},"reason":"off_task"}`))
	if err != nil || record.Deviation.Phrase != "Business travel" || record.Deviation.OutOfScope != 0 {
		t.Errorf("%+v, %v", record.Deviation, err)
	}
}
