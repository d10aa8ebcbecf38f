package export

import (
	"encoding/csv"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

// header names the columns. New ones come at the end, so that what reads a file goes on reading.
var header = []string{
	"time", "writer", "seq", "kind", "exchange", "user", "team", "app", "method", "credential", "actor", "workload", "source", "endpoint",
	"model", "served_model", "policy_version", "action", "decided", "reason", "rule", "intent", "intent_confidence", "deviation", "task",
	"phrase", "unscored", "status", "finish", "requests", "input_tokens", "output_tokens", "cost_micro_usd", "refusals", "network",
	"changed_by", "change", "changed", "leaf", "change_reason",
}

// newCSV writes the header and gives what writes a record as a row.
func newCSV(to io.Writer) (func(*audit.Raw, *record) error, error) {
	w := csv.NewWriter(to)
	w.UseCRLF = true
	row := make([]string, 0, len(header))
	write := func(raw *audit.Raw, r *record) error {
		row = appendRow(row[:0], raw, r)
		if err := w.Write(row); err != nil {
			return err
		}
		w.Flush() // into a buffer: what is written fails where it was
		return w.Error()
	}
	if err := w.Write(header); err != nil {
		return nil, err
	}
	w.Flush()
	return write, w.Error()
}

// appendRow appends the cells of a record, in the order of header.
func appendRow(row []string, raw *audit.Raw, r *record) []string {
	p := &r.Principal
	row = append(row, r.Time.UTC().Format(time.RFC3339Nano), safe(raw.Writer), strconv.FormatUint(raw.Seq, 10), safe(string(r.Kind)), safe(r.Exchange),
		safe(p.User), safe(p.Team), safe(p.App), safe(string(p.Method)), safe(p.Credential), safe(p.Actor), safe(p.Workload), safe(r.Source),
		safe(r.Endpoint), safe(r.Model), safe(r.ServedModel), safe(r.PolicyVersion))
	row = appendJudgement(row, r)
	row = append(row, unlessZero(int64(r.Status)), safe(string(r.Finish)))
	if c := r.Settled; c != nil {
		row = append(row, number(c.Requests), number(c.InputTokens), number(c.OutputTokens), number(int64(c.Cost)))
	} else {
		row = append(row, "", "", "", "")
	}
	if s := r.Refusals; s != nil {
		row = append(row, number(s.Count), safe(s.Network))
	} else {
		row = append(row, "", "")
	}
	var by, change, changed, why string
	if c := r.Admin; c != nil {
		by, change, changed, why = c.Actor, c.Action, c.Object, c.Reason
	}
	return append(row, safe(by), safe(change), safe(changed), hex.EncodeToString(raw.Leaf[:]), safe(why))
}

func appendJudgement(row []string, r *record) []string {
	var action, decided, rule, intent, confidence, score, task, phrase, unscored string
	if v := r.Verdict; v != nil {
		action, decided, rule = string(v.Action), string(v.Decided), v.Rule
	}
	if in := r.Intent; in != nil {
		intent, confidence, unscored = in.Label, fraction(in.Confidence), string(in.Unscored)
	}
	if d := r.Deviation; d != nil {
		score, task, phrase = fraction(d.Score), d.Task, d.Phrase
		if d.Unscored != "" {
			unscored = string(d.Unscored)
		}
	}
	return append(row, safe(action), safe(decided), safe(string(r.Reason)), safe(rule), safe(intent), confidence, score, safe(task), safe(phrase),
		safe(unscored))
}

// safe is a text that no spreadsheet takes for a formula: one that begins like one is put behind an apostrophe. See OWASP,
// CSV Injection.
func safe(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func unlessZero(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}

func fraction(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
