package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/core"
)

// tamperer is the owner of the database, without the signing key, in a transaction that is taken back.
type tamperer struct {
	t  testing.TB
	tx pgx.Tx
	r  *mathrand.Rand
}

func (x tamperer) exec(sql string, args ...any) int64 {
	x.t.Helper()
	done, err := x.tx.Exec(context.Background(), sql, args...)
	if err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
	return done.RowsAffected()
}

// tampered lets do change the database, and checks that verifying names the writer, or for none that it fails.
func (s *signed) tampered(t testing.TB, do func(tamperer), writer string) {
	t.Helper()
	s.begin(t, func(tx pgx.Tx) {
		s.try(tamperer{t: t, tx: tx}, func(x tamperer, _ target) bool { do(x); return true }, target{}, writer, "it")
	})
}

// begin gives do a transaction of the database's owner, which is taken back.
func (s *signed) begin(t testing.TB, do func(pgx.Tx)) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.db.URL)
	must(t, err)
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	must(t, err)
	defer func() { must(t, tx.Rollback(ctx)) }()
	do(tx)
}

// try tampers and verifies, and takes it back. It reports whether there was something to do.
func (s *signed) try(x tamperer, do func(tamperer, target) bool, at target, writer, how string) bool {
	x.t.Helper()
	x.exec("SAVEPOINT before")
	defer x.exec("ROLLBACK TO SAVEPOINT before")
	if !do(x, at) {
		return false
	}
	_, err := notary.Verify(context.Background(), postgres.At(x.tx), s.evidence())
	var (
		bad      *audit.BadEntryError
		mismatch *chain.MismatchError
		sum      *audit.BadSumError
		named    string
	)
	switch {
	case errors.As(err, &sum):
		named = sum.Table
	case errors.As(err, &bad):
		named = bad.Writer
	case errors.As(err, &mismatch):
		named = mismatch.Writer
	case !errors.Is(err, notary.ErrDropped):
		x.t.Fatalf("%s at %+v is not found: %v", how, at, err)
	}
	if writer != "" && named != writer {
		x.t.Fatalf("%s at %+v: %v", how, at, err)
	}
	return true
}

// one is a record as the table has it.
type one struct {
	rec core.Record
	seq int64
}

// of reads the records of a writer, in order.
func (x tamperer) of(writer string) (all []one) {
	x.t.Helper()
	rows, err := x.tx.Query(context.Background(), "SELECT seq, record FROM plumbline_audit.records WHERE writer = $1 ORDER BY seq", writer)
	must(x.t, err)
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o one, err error) {
		var canonical []byte
		if err := row.Scan(&o.seq, &canonical); err != nil {
			return o, err
		}
		o.rec, err = audit.Decode(canonical)
		return o, err
	})
	must(x.t, err)
	return all
}

// rewrite puts records in the place of those of a writer, numbered anew, with hashes and columns that are right for them,
// and corrects the counts.
func (x tamperer) rewrite(writer string, all []one) {
	x.t.Helper()
	x.exec("DELETE FROM plumbline_audit.records WHERE writer = $1", writer)
	for i, o := range all {
		canonical, err := audit.Canonical(o.rec)
		must(x.t, err)
		leaf, action := audit.LeafHash(canonical, writer, uint64(i+1)), ""
		if o.rec.Verdict != nil {
			action = string(o.rec.Verdict.Action)
		}
		class := "exchange"
		if o.rec.Kind == core.RecordAdmin {
			class = "admin"
		}
		task, intent, text := "", "", audit.Explanation(&o.rec)
		if o.rec.Deviation != nil {
			task = o.rec.Deviation.Task
		}
		if o.rec.Intent != nil {
			intent = o.rec.Intent.Label
		}
		x.exec(`INSERT INTO plumbline_audit.records (class, recorded_at, writer, seq, leaf, kind, exchange, "user", team, app, action, reason, model, record, task, intent, explanation)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`, class, o.rec.Time.UnixMicro(), writer, i+1, leaf[:], string(o.rec.Kind),
			o.rec.Exchange, o.rec.Principal.User, o.rec.Principal.Team, o.rec.Principal.App, action, string(o.rec.Reason), o.rec.Model, canonical,
			task, intent, audit.ExplanationID(text))
	}
	x.exec("UPDATE plumbline_audit.writers SET records = $2, last = $2 WHERE name = $1", writer, len(all))
}

// target is a record that a published checkpoint fixes, of a writer with so many that are.
type target struct {
	writer string
	seq    int64
	fixed  int64
}

// tampering is one way to tamper. It reports whether it could be done to the target.
type tampering struct {
	name string
	do   func(x tamperer, at target) bool
}

// forged is another record in the place of one.
func (x tamperer) forged(rec core.Record) core.Record {
	switch x.r.IntN(4) {
	case 0:
		rec.Principal.User = "mallory"
	case 1:
		rec.Model = "o3-pro"
	case 2:
		rec.Status++
	default:
		rec.Time = rec.Time.Add(1e6)
	}
	return rec
}

// without the checkpoints from a size on, as who rewrites the end of a writer would.
func (x tamperer) uncheck(at target) {
	if x.r.IntN(2) == 0 {
		x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1 AND size >= $2", at.writer, at.seq)
	}
}

const thisRecord = " WHERE writer = $1 AND seq = $2"

// columnsOfRecords are those that a plain update changes, with the expression for another value.
var columnsOfRecords = map[string]string{
	"recorded_at": "recorded_at + 1", "writer": "writer || 'x'", "seq": "seq + 1000", "leaf": "set_byte(leaf, 3, get_byte(leaf, 3) # 1)",
	"kind": "kind || 'x'", "exchange": "exchange || 'x'", `"user"`: `"user" || 'x'`, "team": "team || 'x'", "app": "app || 'x'",
	"action": "action || 'x'", "reason": "reason || 'x'", "model": "model || 'x'", "task": "task || 'x'", "intent": "intent || 'x'",
	"explanation": "explanation + 1",
	"record":      "set_byte(record, length(record) / 2, get_byte(record, length(record) / 2) # 1)",
	"class":       "CASE class WHEN 'admin' THEN 'exchange' ELSE 'admin' END",
}

var tamperings = []tampering{
	{"a column changed", func(x tamperer, at target) bool {
		columns := slices.Sorted(func(yield func(string) bool) {
			for c := range columnsOfRecords {
				if !yield(c) {
					return
				}
			}
		})
		column := columns[x.r.IntN(len(columns))]
		x.exec("UPDATE plumbline_audit.records SET "+column+" = "+columnsOfRecords[column]+thisRecord, at.writer, at.seq)
		return true
	}},
	{"a record forged with its hash", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		all[at.seq-1].rec = x.forged(all[at.seq-1].rec)
		x.rewrite(at.writer, all)
		x.uncheck(at)
		return true
	}},
	{"a record deleted", func(x tamperer, at target) bool {
		x.exec("DELETE FROM plumbline_audit.records"+thisRecord, at.writer, at.seq)
		return true
	}},
	{"some deleted", func(x tamperer, at target) bool {
		x.exec("DELETE FROM plumbline_audit.records WHERE writer = $1 AND seq BETWEEN $2 AND $3", at.writer, at.seq, at.seq+1+x.r.Int64N(5))
		return true
	}},
	{"the end cut off", func(x tamperer, at target) bool {
		x.exec("DELETE FROM plumbline_audit.records WHERE writer = $1 AND seq >= $2", at.writer, at.seq)
		x.exec("UPDATE plumbline_audit.writers SET records = $2, last = $2 WHERE name = $1", at.writer, at.seq-1)
		x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1 AND size >= $2", at.writer, at.seq)
		return true
	}},
	{"a writer deleted", func(x tamperer, at target) bool {
		x.exec("DELETE FROM plumbline_audit.records WHERE writer = $1", at.writer)
		x.exec("DELETE FROM plumbline_audit.writers WHERE name = $1", at.writer)
		x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1", at.writer)
		return true
	}},
	{"a record inserted", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		x.rewrite(at.writer, slices.Insert(all, int(at.seq-1), one{rec: x.forged(all[at.seq-1].rec)}))
		x.uncheck(at)
		return true
	}},
	{"one removed and the rest renumbered", func(x tamperer, at target) bool {
		x.rewrite(at.writer, slices.Delete(x.of(at.writer), int(at.seq-1), int(at.seq)))
		x.uncheck(at)
		return true
	}},
	{"two swapped", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		other := x.r.IntN(int(at.fixed))
		if other == int(at.seq-1) {
			return false
		}
		all[other], all[at.seq-1] = all[at.seq-1], all[other]
		x.rewrite(at.writer, all)
		x.uncheck(at)
		return true
	}},
	{"all put in another order", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		if at.fixed < 2 {
			return false
		}
		slices.Reverse(all[:at.fixed])
		x.rewrite(at.writer, all)
		return true
	}},
	{"the end rewritten", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		for i := at.seq - 1; i < int64(len(all)); i++ {
			all[i].rec = x.forged(all[i].rec)
		}
		x.rewrite(at.writer, all)
		x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1 AND size >= $2", at.writer, at.seq)
		return true
	}},
	{"an old checkpoint in a newer one's place", func(x tamperer, at target) bool {
		return x.exec(`UPDATE plumbline_audit.checkpoints AS c SET note = o.note FROM plumbline_audit.checkpoints AS o
			WHERE c.writer = $1 AND o.writer = $1 AND o.size = (SELECT min(size) FROM plumbline_audit.checkpoints WHERE writer = $1)
			AND c.size = (SELECT max(size) FROM plumbline_audit.checkpoints WHERE writer = $1) AND c.size <> o.size`, at.writer) > 0
	}},
	{"checkpoints deleted", func(x tamperer, at target) bool {
		return x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1 AND size >= $2", at.writer, at.seq) > 0
	}},
	{"a checkpoint signed by another", func(x tamperer, at target) bool {
		all := x.of(at.writer)
		all[at.seq-1].rec = x.forged(all[at.seq-1].rec)
		x.rewrite(at.writer, all)
		private, _, err := chain.NewKey(rand.Reader, "plumbline")
		must(x.t, err)
		signer, err := chain.NewSigner(private)
		must(x.t, err)
		var tree chain.Tree
		for i, o := range all[:at.fixed] {
			canonical, err := audit.Canonical(o.rec)
			must(x.t, err)
			tree.Append(audit.LeafHash(canonical, at.writer, uint64(i+1)))
		}
		c, err := signer.Sign(at.writer, &tree, start)
		must(x.t, err)
		x.exec("DELETE FROM plumbline_audit.checkpoints WHERE writer = $1", at.writer)
		x.exec("INSERT INTO plumbline_audit.checkpoints VALUES ($1, $2, $3)", at.writer, at.fixed, c.Note)
		return true
	}},
	{"a record put with the dead letters, changed", func(x tamperer, at target) bool {
		x.exec(`WITH gone AS (DELETE FROM plumbline_audit.records`+thisRecord+` RETURNING *) INSERT INTO plumbline_audit.dead_letters
			SELECT writer, seq, leaf, recorded_at, 'refused', record || '\x20' FROM gone`, at.writer, at.seq)
		return true
	}},
	{"a record taken as if its month was dropped", func(x tamperer, at target) bool {
		x.exec(`WITH gone AS (DELETE FROM plumbline_audit.records`+thisRecord+` RETURNING *) INSERT INTO plumbline_audit.dropped
			SELECT class, '2026_02', writer, seq / 100000, 1, int8send(seq) || leaf FROM gone`, at.writer, at.seq)
		return true
	}},
	{"a record hidden under a second one", func(x tamperer, at target) bool {
		x.exec(`INSERT INTO plumbline_audit.records SELECT class, recorded_at + 1, writer, seq, leaf, kind, exchange, "user", team, app, action, reason, model, record, task, intent, explanation
			FROM plumbline_audit.records`+thisRecord, at.writer, at.seq)
		return true
	}},
}

// everything is what is done to all writers at once.
var everything = []tampering{
	{"all truncated", func(x tamperer, _ target) bool {
		x.exec("TRUNCATE plumbline_audit.records, plumbline_audit.writers, plumbline_audit.checkpoints")
		return true
	}},
	{"the records truncated", func(x tamperer, _ target) bool {
		x.exec("TRUNCATE plumbline_audit.records")
		return true
	}},
	{"the checkpoints truncated", func(x tamperer, _ target) bool {
		x.exec("TRUNCATE plumbline_audit.checkpoints")
		return true
	}},
	{"a month taken", func(x tamperer, _ target) bool {
		x.exec("SELECT plumbline_audit.drop_partition('exchange', '2026_03')")
		return true
	}},
}

// tamperedWorld has three writers with some checkpoints each, and records after the last of them.
func tamperedWorld(t testing.TB, r *mathrand.Rand) (s *signed, targets []target) {
	t.Helper()
	s = newSigned(t)
	for w := range 3 {
		log := openLog(t, "")
		n := s.notary(log)
		next := w * 1000
		some := func(count int) (recs []core.Record) {
			for range count {
				recs = append(recs, varied(next))
				next++
			}
			return recs
		}
		for range 2 + r.IntN(4) {
			s.write(log, n, some(1+r.IntN(9))...)
		}
		s.write(log, nil, some(r.IntN(6))...)
	}
	fixed := map[string]uint64{}
	for _, c := range s.evidence().Outside {
		fixed[c.Writer] = max(fixed[c.Writer], c.Size)
	}
	for writer, size := range fixed {
		for seq := range size {
			targets = append(targets, target{writer, int64(seq) + 1, int64(size)})
		}
	}
	slices.SortFunc(targets, func(a, b target) int { return int(a.seq - b.seq) })
	report, err := s.verify()
	if err != nil || report.FixedOutside != uint64(len(targets)) || report.Fixed != report.FixedOutside {
		t.Fatalf("untouched: %+v, %v, %d fixed", report, err, len(targets))
	}
	return s, targets
}

// TestTamperingsInPostgres has the owner of the database, who has not got the signing key, tamper at random with what the
// second place has a checkpoint of. PLUMBLINE_TAMPERINGS says how often.
func TestTamperingsInPostgres(t *testing.T) {
	rounds, each := 120, 120
	if text := os.Getenv("PLUMBLINE_TAMPERINGS"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		rounds, each = n, 500
	}
	r := mathrand.New(mathrand.NewPCG(7, 8))
	found := map[string]int{}
	for done := 0; done < rounds; {
		s, targets := tamperedWorld(t, r)
		s.begin(t, func(tx pgx.Tx) {
			for range each {
				at := targets[r.IntN(len(targets))]
				how, writer := tamperings[r.IntN(len(tamperings))], at.writer
				if r.IntN(2) == 0 {
					way := following[r.IntN(len(following))]
					how, writer = way.tampering, way.named(at)
				}
				if r.IntN(20) == 0 {
					how, writer = everything[r.IntN(len(everything))], ""
				}
				if how.name == "a column changed" || how.name == "a record taken as if its month was dropped" {
					writer = "" // the name itself may be what was changed
				}
				x := tamperer{t: t, tx: tx, r: r}
				if s.try(x, how.do, at, writer, how.name) {
					found[how.name]++
					done++
				}
			}
		})
	}
	if len(found) != len(tamperings)+len(following)+len(everything) && rounds >= 1000 {
		t.Errorf("only these ways were tried: %v", found)
	}
	t.Logf("found: %v", found)
}
