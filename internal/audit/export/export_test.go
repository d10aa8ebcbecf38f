package export_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/export"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite testdata/members.txt")

// list is a source of records that are made as they are asked for.
type list struct {
	n    int
	make func(i int) core.Record
}

func (l list) Walk(_ context.Context, _ audit.Query, fn func(audit.Raw) error) error {
	for i := range l.n {
		rec := l.make(i)
		canonical, err := audit.Canonical(rec)
		if err != nil {
			return err
		}
		writer, seq := fmt.Sprintf("w%d", i%2), uint64(i/2+1)
		raw := audit.Raw{Writer: writer, Seq: seq, Leaf: audit.LeafHash(canonical, writer, seq), Kind: rec.Kind, Canonical: canonical}
		if err := fn(raw); err != nil {
			return err
		}
	}
	return nil
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func deny(user string) core.Record {
	return core.Record{
		Kind: core.RecordDeny, Time: at, Exchange: "0195", Principal: core.Principal{User: user, App: "ide"}, Model: "gpt-4o", Status: 403, Reason: core.ReasonOffTask,
		Deviation: &core.Deviation{Score: 0.8, Task: "refunds", Phrase: user, Model: "m"},
		Verdict:   &core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: core.ReasonOffTask, Rule: "deviation.block"},
		Facts:     json.RawMessage(`{"v":1}`),
	}
}

func write(t *testing.T, from export.Source, o export.Options) (string, export.Manifest, []byte) {
	t.Helper()
	var file bytes.Buffer
	o.To, o.Now = &file, func() time.Time { return at }
	m, text, err := export.Write(t.Context(), from, o)
	if err != nil {
		t.Fatal(err)
	}
	return file.String(), m, text
}

// hostile are names that a spreadsheet or a parser could trip over.
func hostile() []string {
	return []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", `say "hi"`, "a,b", "a\r\nb", "a;b", "plain", "", "'", " =1", "ünïcode", "a\x00b", "a\u2028b",
	}
}

func TestCSVHoldsNoFormula(t *testing.T) {
	names := hostile()
	file, m, _ := write(t, list{len(names), func(i int) core.Record { return deny(names[i]) }}, export.Options{Format: export.CSV})
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != len(names)+1 || m.Records != int64(len(names)) {
		t.Fatalf("%d rows, %d records: %v", len(rows), m.Records, err)
	}
	for i, row := range rows {
		for j, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
				t.Errorf("row %d, %s: %q", i, rows[0][j], cell)
			}
		}
		if i == 0 {
			continue
		}
		// A CR has no form of its own in a file whose lines end with CRLF: it is left out.
		want := strings.ReplaceAll(names[i-1], "\r", "")
		if got := row[slices.Index(rows[0], "user")]; strings.TrimPrefix(got, "'") != strings.TrimPrefix(want, "'") {
			t.Errorf("user %q came out as %q", want, got)
		}
	}
	for i, l := range strings.SplitAfter(file, "\r\n") {
		if strings.HasPrefix(l, "2026") && !strings.HasSuffix(l, "\r\n") {
			t.Errorf("line %d does not end as RFC 4180 says: %q", i, l)
		}
	}
}

// Who looked at sealed content, and why, is what an auditor opens the file for.
func TestCSVSaysWhoChangedWhatAndWhy(t *testing.T) {
	change := core.Record{Kind: core.RecordAdmin, Time: at, Exchange: "change-7", Admin: &core.Change{
		Actor: "cli:ann", Action: "reveal", Object: "exchange/0195", Reason: "=complaint, ticket 17",
	}}
	file, _, _ := write(t, list{1, func(int) core.Record { return change }}, export.Options{Format: export.CSV})
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for column, want := range map[string]string{
		"changed_by": "cli:ann", "change": "reveal", "changed": "exchange/0195", "change_reason": "'=complaint, ticket 17",
	} {
		if i := slices.Index(rows[0], column); i < 0 || rows[1][i] != want {
			t.Errorf("column %s of %q is not %q", column, rows[1], want)
		}
	}
}

func TestNDJSONGivesTheRecordsBack(t *testing.T) {
	names := hostile()
	file, _, _ := write(t, list{len(names), func(i int) core.Record { return deny(names[i]) }}, export.Options{Format: export.NDJSON})
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	if len(lines) != len(names) {
		t.Fatalf("%d lines, want %d", len(lines), len(names))
	}
	for i, l := range lines {
		var got struct {
			Writer, Leaf string
			Seq          uint64
			Record       core.Record
		}
		if err := json.Unmarshal([]byte(l), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(deny(names[i]), got.Record); diff != "" {
			t.Errorf("record %d (-want +got):\n%s", i, diff)
		}
		// Whoever has the line can compute its hash, where nothing was withheld.
		canonical, err := audit.Canonical(got.Record)
		if leaf := audit.LeafHash(canonical, got.Writer, got.Seq); err != nil || fmt.Sprintf("%x", leaf) != got.Leaf {
			t.Errorf("record %d: its hash is not that of its record: %v", i, err)
		}
	}
}

// TestOnlyListedMembersLeave: what is added to records leaves only after somebody looked at it here.
func TestOnlyListedMembersLeave(t *testing.T) {
	file, _, _ := write(t, list{1, func(int) core.Record { return filled(reflect.TypeFor[core.Record]()).Interface().(core.Record) }}, export.Options{Format: export.NDJSON})
	var line map[string]any
	if err := json.Unmarshal([]byte(file), &line); err != nil {
		t.Fatal(err)
	}
	var got []string
	paths("", line, &got)
	slices.Sort(got)
	text := strings.Join(slices.Compact(got), "\n") + "\n"
	testkit.Golden(t, "testdata/members.txt", []byte(text), *update,
		"may the new members leave? Nothing that is sealed may. Then go test ./internal/audit/export -update")
}

// filled is a value of a type in which nothing is empty.
func filled(of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
		v.Elem().Set(filled(of.Elem()))
	case reflect.Slice:
		if of == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"v":1}`))
			break
		}
		v.Set(reflect.Append(v, filled(of.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(filled(of.Key()), filled(of.Elem()))
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(at))
			break
		}
		for i := range of.NumField() {
			v.Field(i).Set(filled(of.Field(i).Type))
		}
	default:
		v.Set(reflect.Zero(of))
	}
	return v
}

// paths adds the names of all members of a JSON value.
func paths(at string, v any, to *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			paths(at+"."+name, member, to)
		}
	case []any:
		for _, member := range v {
			paths(at+"[]", member, to)
		}
	default:
		*to = append(*to, strings.TrimPrefix(at, "."))
	}
}

func TestManifest(t *testing.T) {
	private, public, err := note.GenerateKey(rand.Reader, "plumbline")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := note.GenerateKey(rand.Reader, "plumbline")
	if err != nil {
		t.Fatal(err)
	}
	records := list{7, func(int) core.Record { return deny("ann\n\nof two lines") }}
	file, m, signed := write(t, records, export.Options{Format: export.CSV, Query: audit.Query{User: "ann\n\nx", Since: at}, Signer: signer})
	_, _, unsigned := write(t, records, export.Options{Format: export.CSV})
	if len(m.Writers) != 2 || m.Writers[0] != (export.Numbers{Writer: "w0", First: 1, Last: 4, Records: 4}) {
		t.Errorf("writers: %+v", m.Writers)
	}
	if !export.IsSigned(signed) || export.IsSigned(unsigned) {
		t.Error("whether it is signed cannot be told")
	}
	changed := strings.Replace(file, "gpt-4o", "gpt-4x", 1)
	for name, c := range map[string]struct {
		manifest  []byte
		file, key string
		want      error
	}{
		"as written":           {signed, file, public, nil},
		"nobody looks":         {signed, file, "", nil},
		"unsigned":             {unsigned, file, "", nil},
		"unsigned, with a key": {unsigned, file, public, export.ErrSignature},
		"of another key":       {signed, file, stranger, export.ErrSignature},
		"no key":               {signed, file, "nonsense", export.ErrKey},
		"file changed":         {signed, changed, public, export.ErrChanged},
		"file cut":             {signed, file[:len(file)-1], public, export.ErrChanged},
		"file longer":          {signed, file + "x", public, export.ErrChanged},
		"manifest changed":     {bytes.Replace(signed, []byte("records 7"), []byte("records 8"), 1), file, public, export.ErrSignature},
		"no manifest":          {[]byte("nonsense\n"), file, "", export.ErrManifest},
	} {
		if _, err := export.Check(c.manifest, strings.NewReader(c.file), c.key); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestMemoryStaysFlat exports a quarter of a million records.
func TestMemoryStaysFlat(t *testing.T) {
	const records, bound = 250_000, 16 << 20
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak uint64
	o := export.Options{Format: export.CSV, To: io.Discard, Progress: func(int64) {
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}}
	m, _, err := export.Write(t.Context(), list{records, func(i int) core.Record { return deny(fmt.Sprint("user-", i)) }}, o)
	if err != nil || m.Records != records {
		t.Fatalf("%d records: %v", m.Records, err)
	}
	if peak > before.HeapAlloc+bound {
		t.Errorf("the heap grew by %d bytes", peak-before.HeapAlloc)
	}
}

func TestWriteEnds(t *testing.T) {
	full := errors.New("no space")
	_, _, err := export.Write(t.Context(), list{1000, func(int) core.Record { return deny("ann") }}, export.Options{Format: export.CSV, To: failing{full}})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if _, _, err := export.Write(t.Context(), list{}, export.Options{Format: "xlsx", To: io.Discard}); err == nil {
		t.Error("a format that there is not")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte("plumbline/export\nformat csv\nmade 2026-03-01T12:00:00Z\nquery {}\nrecords 1\nbytes 2\nsha256 " + strings.Repeat("00", 32) + "\nwriter \"w\" 1 1 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := export.ParseManifest(text)
		if err != nil {
			if !errors.Is(err, export.ErrManifest) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(m.SHA256) != 32 || m.Made.IsZero() && !bytes.Contains(text, []byte("0001-01-01")) {
			t.Errorf("%+v", m)
		}
	})
}

// changed is a source of which one record is not as it was written.
type changed struct{ list }

func (c changed) Walk(ctx context.Context, q audit.Query, fn func(audit.Raw) error) error {
	return c.list.Walk(ctx, q, func(raw audit.Raw) error {
		if raw.Seq == 2 {
			raw.Canonical = bytes.Replace(raw.Canonical, []byte("0.8"), []byte("0.1"), 1)
		}
		return fn(raw)
	})
}

// TestAChangedRecordIsNotSignedFor: a manifest that is signed with the audit's key must not vouch for what somebody put into
// the database.
func TestAChangedRecordIsNotSignedFor(t *testing.T) {
	from := changed{list{4, func(int) core.Record { return deny("ada") }}}
	for _, format := range []export.Format{export.CSV, export.NDJSON} {
		_, manifest, err := export.Write(t.Context(), from, export.Options{Format: format, To: io.Discard})
		if !errors.Is(err, export.ErrNotAsWritten) || !strings.Contains(err.Error(), "number 2 of writer w0") || manifest != nil {
			t.Errorf("%s: %v, %q", format, err, manifest)
		}
	}
}

// TestAKindIsNoFormula either: in a database it is a text like others.
func TestAKindIsNoFormula(t *testing.T) {
	rec := deny("ada")
	rec.Kind = "=1+1"
	file, _, _ := write(t, list{1, func(int) core.Record { return rec }}, export.Options{Format: export.CSV})
	if !strings.Contains(file, ",'=1+1,") {
		t.Error(file)
	}
}
